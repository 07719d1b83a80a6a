-- Rounds a cost for a sentence about a budget: to four decimals, or to one more than the budget has.
-- Called by: explain_budgets(), note_budgets(). Locks: nothing. Returns: the rounded cost; NULL for NULL.
CREATE OR REPLACE FUNCTION contentq.budget_cost(cost numeric, budget numeric)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT round(budget_cost.cost, greatest(4, scale(trim_scale(budget_cost.budget)) + 1));
$$;

COMMENT ON FUNCTION contentq.budget_cost(numeric, numeric) IS
    'Internal: a cost, rounded for a sentence about a budget.';
