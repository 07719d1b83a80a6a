-- Cost of each category this month (UTC), most expensive first.
CREATE OR REPLACE VIEW contentq.usage_by_category WITH (security_invoker = true) AS
SELECT
    nullif(u.category, '') AS category,
    sum(u.attempts) AS attempts,
    sum(u.prompt_tokens) AS prompt_tokens,
    sum(u.completion_tokens) AS completion_tokens,
    round(sum(u.cost), 6) AS cost,
    round(sum(u.cost) / sum(u.attempts), 6) AS cost_each
FROM contentq.usage AS u
WHERE u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
GROUP BY u.category
ORDER BY cost DESC, u.category;

COMMENT ON VIEW contentq.usage_by_category IS
    'By category, since the first of this month (UTC): attempts with usage, tokens, cost.';
