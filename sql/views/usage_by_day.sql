-- Cost of each of the last 31 days (UTC), latest first.
CREATE OR REPLACE VIEW contentq.usage_by_day WITH (security_invoker = true) AS
SELECT
    u.day,
    sum(u.attempts) AS attempts,
    sum(u.prompt_tokens) AS prompt_tokens,
    sum(u.completion_tokens) AS completion_tokens,
    round(sum(u.cost), 6) AS cost,
    count(DISTINCT u.account_id) AS accounts
FROM contentq.usage AS u
WHERE u.day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 31
GROUP BY u.day
ORDER BY u.day DESC;

COMMENT ON VIEW contentq.usage_by_day IS
    'By day (UTC), the last 31: attempts with usage, tokens, cost, accounts.';
