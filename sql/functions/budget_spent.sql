-- Sums the cost of attempts in the current day or month (UTC), for an account, a category, both, or all.
-- Called by: over_budget(), note_budgets(), views; people. Locks: nothing. Returns: the cost, 0 for none.
-- account_id, category: NULL for all. period: day or month.
CREATE OR REPLACE FUNCTION contentq.budget_spent(account_id bigint, category text DEFAULT NULL, period text DEFAULT 'month')
RETURNS numeric
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    began_on constant date := contentq.budget_start(budget_spent.period);
BEGIN
    IF budget_spent.account_id IS NOT NULL THEN
        RETURN (
            SELECT coalesce(sum(u.cost), 0)
            FROM contentq.usage AS u
            WHERE u.account_id = budget_spent.account_id
              AND u.day >= began_on
              AND (budget_spent.category IS NULL OR u.category = budget_spent.category)
        );
    ELSIF budget_spent.category IS NOT NULL THEN
        RETURN (
            SELECT coalesce(sum(u.cost), 0)
            FROM contentq.usage AS u
            WHERE u.category = budget_spent.category
              AND u.day >= began_on
        );
    END IF;
    RETURN (
        SELECT coalesce(sum(u.cost), 0)
        FROM contentq.usage AS u
        WHERE u.day >= began_on
    );
END;
$$;

COMMENT ON FUNCTION contentq.budget_spent(bigint, text, text) IS
    'Cost of attempts in the current month or day (UTC), for an account, a category, both, or all (NULL).';
