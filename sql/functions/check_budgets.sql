-- Looks again at the budgets of accounts that were charged in the last seconds: of reports that were made at the same time
-- none has seen what the others have spent.
-- Called by: maintain(). Locks: rows of budget_checks and used_up_budgets, skipping those that others hold (so it never
--            waits). Returns: how many of these notes it has done with; it looks at max_rows a call, oldest first.
CREATE OR REPLACE FUNCTION contentq.check_budgets(max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    notes constant bigint[] := ARRAY(SELECT c.id FROM contentq.budget_checks AS c ORDER BY c.id LIMIT check_budgets.max_rows);
    noted_account bigint;
    done integer;
BEGIN
    FOR noted_account IN SELECT DISTINCT c.account_id FROM contentq.budget_checks AS c WHERE c.id = ANY (notes) LOOP
        PERFORM contentq.check_budget(noted_account);
    END LOOP;

    DELETE FROM contentq.budget_checks
    WHERE id = ANY (ARRAY(
        SELECT c.id
        FROM contentq.budget_checks AS c
        WHERE c.id = ANY (notes)
          AND c.noted_at < clock_timestamp() - interval '10 seconds'
        ORDER BY c.id
        FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS done = ROW_COUNT;

    DELETE FROM contentq.used_up_budgets
    WHERE id = ANY (ARRAY(
        SELECT u.id
        FROM contentq.used_up_budgets AS u
        WHERE u.over_budget_until <= clock_timestamp()
        ORDER BY u.id
        LIMIT check_budgets.max_rows
        FOR UPDATE SKIP LOCKED
    ));
    RETURN done;
END;
$$;

COMMENT ON FUNCTION contentq.check_budgets(integer) IS
    'Internal: looks again at the budgets of accounts that were charged in the last seconds.';
