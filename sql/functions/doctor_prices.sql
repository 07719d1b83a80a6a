-- Finds models with tokens but no cost in the last 30 days.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_prices()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN contentq.has_budgets() THEN 'warning' ELSE 'advice' END, 'model_without_price',
           coalesce(nullif(u.model, ''), 'without a name'),
           format('%s tokens in the last 30 days, but no cost', sum(u.prompt_tokens + u.completion_tokens)),
           'Its cost is not counted, so no budget includes it.',
           'set its price in the settings of the handler openai (contentq prices lists many models); a model with price 0 is '
           'reported too'
    FROM contentq.usage AS u
    WHERE u.day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 30
    GROUP BY u.model
    HAVING sum(u.prompt_tokens + u.completion_tokens) > 0
       AND sum(u.cost) = 0
    ORDER BY sum(u.prompt_tokens + u.completion_tokens) DESC, u.model
    LIMIT 20;
$$;

COMMENT ON FUNCTION contentq.doctor_prices() IS
    'Internal: findings of doctor() about models without a price.';
