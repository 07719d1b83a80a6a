-- Cost of the attempts of each account this month (UTC), most expensive first; and accounts that have a budget.
CREATE OR REPLACE VIEW contentq.usage_by_account WITH (security_invoker = true) AS
SELECT
    a.id AS account_id,
    CASE WHEN length(a.name) > 30 THEN left(a.name, 27) || '...' ELSE a.name END AS name,
    coalesce(u.attempts, 0) AS attempts,
    coalesce(u.prompt_tokens, 0) AS prompt_tokens,
    coalesce(u.completion_tokens, 0) AS completion_tokens,
    round(coalesce(u.cost, 0), 6) AS cost,
    a.monthly_budget,
    round(100 * coalesce(u.cost, 0) / nullif(a.monthly_budget, 0), 1) AS used_percent,
    coalesce(u.cost, 0) >= a.monthly_budget IS TRUE AS used_up
FROM public.accounts AS a
LEFT JOIN (
    SELECT
        e.account_id,
        sum(e.attempts) AS attempts,
        sum(e.prompt_tokens) AS prompt_tokens,
        sum(e.completion_tokens) AS completion_tokens,
        sum(e.cost) AS cost
    FROM contentq.usage AS e
    WHERE e.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
    GROUP BY e.account_id
) AS u ON u.account_id = a.id
WHERE u.account_id IS NOT NULL
   OR a.monthly_budget IS NOT NULL
ORDER BY cost DESC, a.id;

COMMENT ON VIEW contentq.usage_by_account IS
    'By account, since the first of this month (UTC): attempts with usage, tokens, cost, monthly budget, and whether it is '
    'used up, so that no more tasks are claimed.';
