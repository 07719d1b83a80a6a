-- Lists the budgets against which tasks of an account in a category count.
-- Called by: add_usage(), budget_refusals(), budget_holds(). Locks: nothing.
-- account_id: NULL for budgets without an account only. category: '' for no category; NULL for budgets without a category
-- only.
-- Returns: the budgets, including accounts.monthly_budget.
CREATE OR REPLACE FUNCTION contentq.budgets_of(account_id bigint, category text)
RETURNS TABLE (of_account_id bigint, of_category text, period text, amount numeric)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
    SELECT a.id::bigint, NULL::text, 'month', a.monthly_budget
    FROM public.accounts AS a
    WHERE a.id = budgets_of.account_id
      AND a.monthly_budget IS NOT NULL
    UNION ALL
    SELECT b.account_id, b.category, b.period, b.amount
    FROM contentq.budgets AS b
    WHERE b.account_id = budgets_of.account_id
      AND (b.category IS NULL OR b.category = budgets_of.category)
    UNION ALL
    SELECT b.account_id, b.category, b.period, b.amount
    FROM contentq.budgets AS b
    WHERE b.account_id IS NULL
      AND (b.category IS NULL OR b.category = budgets_of.category);
$$;

COMMENT ON FUNCTION contentq.budgets_of(bigint, text) IS
    'Internal: the budgets against which tasks of an account in a category count.';
