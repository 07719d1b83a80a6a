-- Says whether there is any budget at all.
-- Called by: choose_ready(), complete(), store(), maintain(). Locks: nothing. Returns: true or false.
-- Like is_held() without a search_path of its own: where there is none, it costs a look into two indexes that are empty.
CREATE OR REPLACE FUNCTION contentq.has_budgets()
RETURNS boolean
LANGUAGE sql
STABLE
RETURN EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
       OR EXISTS (SELECT FROM contentq.budgets AS b);

COMMENT ON FUNCTION contentq.has_budgets() IS
    'Internal: whether any account, or any category, has a budget.';
