-- Returns those of some accounts for which a budget allows nothing more to start: it is used up or fully reserved.
-- Called by: choose_ready(), explain_fair(). Locks: nothing. Returns: their ids. It looks up each account and sums its
-- cost. Budgets with a category, or without an account, are checked elsewhere.
CREATE OR REPLACE FUNCTION contentq.over_budget(account_ids bigint[])
RETURNS bigint[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT u.id
        FROM unnest(over_budget.account_ids) AS u (id)
        WHERE EXISTS (
            SELECT
            FROM (
                SELECT 'month' AS period, a.monthly_budget AS amount
                FROM public.accounts AS a
                WHERE a.id = u.id
                  AND a.monthly_budget IS NOT NULL
                UNION ALL
                SELECT g.period, g.amount
                FROM contentq.budgets AS g
                WHERE g.account_id = u.id
                  AND g.category IS NULL
            ) AS b
            WHERE contentq.budget_spent(u.id, NULL, b.period) >= b.amount
               OR (contentq.budget_room(u.id, NULL, b.period, b.amount)).is_full
        )
    );
END;
$$;

COMMENT ON FUNCTION contentq.over_budget(bigint[]) IS
    'Internal: those of these accounts for which a budget allows nothing more to start.';
