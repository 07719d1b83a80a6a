-- Picks of some accounts those that have used up their budget of this month.
-- Called by: choose_ready(). Locks: nothing. Returns: their ids. Each account is looked up, and what it has spent is summed.
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
        SELECT a.id::bigint
        FROM unnest(over_budget.account_ids) AS u (id)
        JOIN public.accounts AS a ON a.id = ANY (ARRAY[u.id])
        WHERE a.monthly_budget IS NOT NULL
          AND contentq.spent_this_month(a.id) >= a.monthly_budget
    );
END;
$$;

COMMENT ON FUNCTION contentq.over_budget(bigint[]) IS
    'Internal: of these accounts, those that have used up their monthly_budget.';
