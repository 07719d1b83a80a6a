-- Cost of each model this month (UTC), most expensive first.
CREATE OR REPLACE VIEW contentq.usage_by_model WITH (security_invoker = true) AS
SELECT
    u.model,
    sum(u.attempts) AS attempts,
    sum(u.prompt_tokens) AS prompt_tokens,
    sum(u.completion_tokens) AS completion_tokens,
    round(sum(u.cost), 6) AS cost,
    round(sum(u.cost) / sum(u.attempts), 6) AS cost_each
FROM contentq.usage AS u
WHERE u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
GROUP BY u.model
ORDER BY cost DESC, u.model;

COMMENT ON VIEW contentq.usage_by_model IS
    'By model, since the first of this month (UTC): attempts with usage, tokens, cost.';
