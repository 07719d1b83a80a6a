-- Checks whether any budget exists.
-- Called by: add_usage(), maintain(), explain_ahead(), explain_aging(). Locks: nothing. Returns: true or false.
-- choose_ready(), complete() and store() repeat this query: a function call in each of them would slow a drain measurably.
CREATE OR REPLACE FUNCTION contentq.has_budgets()
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
           OR EXISTS (SELECT FROM contentq.budgets AS b);
END;
$$;

COMMENT ON FUNCTION contentq.has_budgets() IS
    'Internal: whether any account or any category has a budget.';
