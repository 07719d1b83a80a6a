-- Removes a budget.
-- Called by: operators; set_budget(). account_id, category, period: as in set_budget().
-- Locks: the row of the budget. Returns: whether there was one.
CREATE OR REPLACE FUNCTION contentq.unset_budget(
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    period text DEFAULT 'month'
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    was_there boolean;
BEGIN
    IF unset_budget.account_id IS NOT NULL AND unset_budget.category IS NULL AND unset_budget.period = 'month' THEN
        UPDATE public.accounts AS a
        SET monthly_budget = NULL
        WHERE a.id = unset_budget.account_id
          AND a.monthly_budget IS NOT NULL;
    ELSE
        DELETE FROM contentq.budgets AS b
        WHERE b.account_id IS NOT DISTINCT FROM unset_budget.account_id
          AND b.category IS NOT DISTINCT FROM unset_budget.category
          AND b.period = unset_budget.period;
    END IF;
    was_there := FOUND;
    PERFORM contentq.notify_ready();
    RETURN was_there;
END;
$$;

COMMENT ON FUNCTION contentq.unset_budget(bigint, text, text) IS
    'Removes the budget of an account, a category, both, or all (NULL), for a day or a month; returns whether it existed.';
