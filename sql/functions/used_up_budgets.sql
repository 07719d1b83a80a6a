-- Lists the budgets that are used up.
-- Called by: anything_waits(), the views blocked_accounts and usage_by_account. Locks: nothing.
-- Returns: the budgets, NULL for any account or any category, and when the current period of each ends.
CREATE OR REPLACE FUNCTION contentq.used_up_budgets()
RETURNS TABLE (account_id bigint, category text, period text, ends_at timestamptz)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.account_id, b.category, b.period, contentq.budget_end(b.period)
    FROM (
        SELECT a.id::bigint AS account_id, NULL::text AS category, 'month' AS period, a.monthly_budget AS amount
        FROM public.accounts AS a
        WHERE a.monthly_budget IS NOT NULL
        UNION ALL
        SELECT g.account_id, g.category, g.period, g.amount
        FROM contentq.budgets AS g
    ) AS b
    WHERE contentq.budget_spent(b.account_id, b.category, b.period) >= b.amount;
$$;

COMMENT ON FUNCTION contentq.used_up_budgets() IS
    'Internal: the budgets that are used up.';
