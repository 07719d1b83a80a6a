-- Finds models with tokens but no cost in the last 30 days.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_prices()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH n AS (
        SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
    )
    SELECT CASE WHEN contentq.has_budgets() THEN 'warning' ELSE 'advice' END, 'model_without_price',
           coalesce(nullif(u.model, ''), 'without a name'),
           format('%s tokens in the last 30 days, but no cost', u.tokens),
           'Its cost is not counted, so no budget includes it.',
           'set its price in the settings of the handler openai (contentq prices lists many models); a model with price 0 is '
           'reported too'
    FROM (
        SELECT f.model, sum(f.prompt_tokens + f.completion_tokens) AS tokens
        FROM n
        JOIN contentq.usage AS f ON f.day > n.today - 30 AND f.cost = 0 AND f.prompt_tokens + f.completion_tokens > 0
        GROUP BY f.model
    ) AS u
    WHERE NOT EXISTS (SELECT FROM n JOIN contentq.usage AS p ON p.day > n.today - 30 AND p.cost > 0 AND p.model = u.model)
    ORDER BY u.tokens DESC, u.model
    LIMIT 20;
$$;

COMMENT ON FUNCTION contentq.doctor_prices() IS
    'Internal: findings of doctor() about models without a price.';
