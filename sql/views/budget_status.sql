-- The budgets, those nearest to their end first.
CREATE OR REPLACE VIEW contentq.budget_status WITH (security_invoker = true) AS
SELECT
    b.account_id,
    b.category,
    b.period,
    b.amount,
    round(r.spent, 6) AS spent,
    round(r.reserved, 6) AS reserved,
    r.running,
    round(100 * r.spent / nullif(b.amount, 0), 1) AS percent,
    s.state,
    CASE s.state WHEN 'near' THEN e.near_at WHEN 'used_up' THEN e.used_up_at END AS since,
    contentq.budget_end(b.period) AS ends_at
FROM (
    SELECT a.id::bigint AS account_id, NULL::text AS category, 'month' AS period, a.monthly_budget AS amount
    FROM public.accounts AS a
    WHERE a.monthly_budget IS NOT NULL
    UNION ALL
    SELECT g.account_id, g.category, g.period, g.amount
    FROM contentq.budgets AS g
) AS b
CROSS JOIN contentq.settings AS c
CROSS JOIN LATERAL contentq.budget_room(b.account_id, b.category, b.period, b.amount) AS r
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.spent >= b.amount THEN 'used_up'
                WHEN r.spent >= b.amount * c.budget_warning THEN 'near'
                ELSE 'ok' END AS state
) AS s
LEFT JOIN contentq.budget_events AS e
    ON e.account_id IS NOT DISTINCT FROM b.account_id
    AND e.category IS NOT DISTINCT FROM b.category
    AND e.period = b.period
    AND e.began_on = contentq.budget_start(b.period)
    AND e.amount = b.amount
ORDER BY r.spent / nullif(b.amount, 0) DESC NULLS FIRST, b.account_id NULLS FIRST, b.category NULLS FIRST, b.period;

COMMENT ON VIEW contentq.budget_status IS
    'Budgets of the current day or month (UTC), by account and category (NULL: any): cost so far, reserved for running '
    'tasks, percent spent, and state: ok, near its end (settings.budget_warning) or used_up, and since when.';
