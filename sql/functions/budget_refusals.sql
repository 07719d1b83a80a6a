-- Lists the budgets that allow no further task of an account in a category to start now.
-- Called by: budget_holds(), explain_budgets(). Locks: nothing.
-- account_id: NULL for budgets without an account only. category: '' for no category; NULL for budgets without a category
-- only.
-- Returns: the budgets, each with the cost so far (spent), what is reserved, for how many running tasks, and the expected
-- cost of another task (NULL: not known).
CREATE OR REPLACE FUNCTION contentq.budget_refusals(account_id bigint, category text)
RETURNS TABLE (
    of_account_id bigint,
    of_category text,
    period text,
    amount numeric,
    spent numeric,
    reserved numeric,
    running integer,
    expected numeric
)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.of_account_id, b.of_category, b.period, b.amount, r.spent, r.reserved, r.running, r.expected
    FROM contentq.budgets_of(budget_refusals.account_id, budget_refusals.category) AS b
    CROSS JOIN LATERAL contentq.budget_room(
        b.of_account_id, b.of_category, b.period, b.amount, '{}',
        CASE WHEN budget_refusals.category IS NOT NULL THEN ARRAY[budget_refusals.category] ELSE '{}' END) AS r
    WHERE CASE WHEN budget_refusals.category IS NOT NULL THEN NOT r.fits[1] ELSE r.is_full END;
$$;

COMMENT ON FUNCTION contentq.budget_refusals(bigint, text) IS
    'Internal: the budgets that allow no further task of an account in a category to start now.';
