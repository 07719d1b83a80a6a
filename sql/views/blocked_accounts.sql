-- The accounts whose tasks are not claimed now: usually few or none, for every claim reads them.
CREATE OR REPLACE VIEW contentq.blocked_accounts WITH (security_invoker = true) AS
SELECT
    b.account_id,
    max(b.paused_until) AS paused_until,
    max(b.over_budget_until) AS over_budget_until
FROM (
    SELECT p.account_id, p.paused_until, NULL::timestamptz AS over_budget_until
    FROM contentq.account_pauses AS p
    UNION ALL
    SELECT u.account_id, NULL::timestamptz AS paused_until, u.over_budget_until
    FROM contentq.used_up_budgets AS u
) AS b
GROUP BY b.account_id;

COMMENT ON VIEW contentq.blocked_accounts IS
    'Accounts whose tasks are not claimed, until when: paused, and until the first of the next month (UTC) when the '
    'budget for this month is used up. Times that are over are removed now and then.';
