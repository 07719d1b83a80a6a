-- Notes whether an account has used up its budget for this month, so that claims leave it out.
-- Called by: record_usage(), block_account() and maintain(). Locks: rows of used_up_budgets that are to be removed,
--            skipping those that others hold (so it never waits). Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.check_budget(account_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    monthly_budget constant numeric := (
        SELECT a.monthly_budget
        FROM public.accounts AS a
        WHERE a.id = check_budget.account_id
    );
BEGIN
    IF contentq.spent_this_month(check_budget.account_id) >= monthly_budget THEN
        INSERT INTO contentq.used_up_budgets (account_id, over_budget_until)
        SELECT check_budget.account_id,
               (date_trunc('month', now_ AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
        WHERE NOT EXISTS (
            SELECT
            FROM contentq.used_up_budgets AS u
            WHERE u.account_id = check_budget.account_id
              AND u.over_budget_until > now_
        );
    ELSE
        DELETE FROM contentq.used_up_budgets
        WHERE id = ANY (ARRAY(
            SELECT u.id
            FROM contentq.used_up_budgets AS u
            WHERE u.account_id = check_budget.account_id
            ORDER BY u.id
            FOR UPDATE SKIP LOCKED
        ));
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.check_budget(bigint) IS
    'Internal: notes whether claims leave an account out because it has used up its monthly budget.';
