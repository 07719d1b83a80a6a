-- The accounts whose tasks may not start now, for people: claims read accounts and usage themselves.
CREATE OR REPLACE VIEW contentq.blocked_accounts WITH (security_invoker = true) AS
SELECT
    a.id::bigint AS account_id,
    CASE WHEN a.paused_until > clock_timestamp() THEN a.paused_until END AS paused_until,
    b.over_budget_until
FROM public.accounts AS a
LEFT JOIN (
    SELECT u.account_id, max(u.ends_at) AS over_budget_until
    FROM contentq.used_up_budgets() AS u
    WHERE u.category IS NULL
      AND u.account_id IS NOT NULL
    GROUP BY u.account_id
) AS b ON b.account_id = a.id
WHERE a.paused_until > clock_timestamp()
   OR b.over_budget_until IS NOT NULL;

COMMENT ON VIEW contentq.blocked_accounts IS
    'Accounts whose tasks are not claimed now, and until when: paused, or a budget for all of their tasks is used up until '
    'the next day or month (UTC).';
