-- The accounts of which nothing starts now, for people: claims look at accounts and usage themselves.
CREATE OR REPLACE VIEW contentq.blocked_accounts WITH (security_invoker = true) AS
SELECT
    a.id::bigint AS account_id,
    CASE WHEN a.paused_until > clock_timestamp() THEN a.paused_until END AS paused_until,
    CASE
        WHEN b.is_used_up THEN (date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
    END AS over_budget_until
FROM public.accounts AS a
CROSS JOIN LATERAL (
    SELECT a.monthly_budget IS NOT NULL AND contentq.spent_this_month(a.id) >= a.monthly_budget AS is_used_up
) AS b
WHERE a.paused_until > clock_timestamp()
   OR b.is_used_up;

COMMENT ON VIEW contentq.blocked_accounts IS
    'Accounts whose tasks are not claimed now, until when: paused, and until the first of the next month (UTC) when the '
    'budget for this month is used up.';
