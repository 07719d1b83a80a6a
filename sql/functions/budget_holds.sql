-- Checks whether a budget allows no further task of an account in a category to start now.
-- Called by: choose_ready(), for blocks that it remembers; explain_waiting(). account_id, category: as in
--            budget_refusals().
-- Locks: nothing. Returns: true or false. If a budget is used up, the usual case here, running tasks are not counted.
CREATE OR REPLACE FUNCTION contentq.budget_holds(account_id bigint, category text)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM contentq.budgets_of(budget_holds.account_id, budget_holds.category) AS b
        WHERE contentq.budget_spent(b.of_account_id, b.of_category, b.period) >= b.amount
    ) THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM contentq.budget_refusals(budget_holds.account_id, budget_holds.category));
END;
$$;

COMMENT ON FUNCTION contentq.budget_holds(bigint, text) IS
    'Internal: whether a budget allows no further task of an account in a category to start now.';
