-- Says whether answers of batches wait for tasks that collect them, which no budget keeps.
-- Called by: over_budget(), budget_holds(). account_id: NULL for any. Locks: nothing. Returns: true or false.
CREATE OR REPLACE FUNCTION contentq.has_answers(account_id bigint)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
    IF has_answers.account_id IS NOT NULL THEN
        RETURN EXISTS (
            SELECT
            FROM contentq.batch_requests AS r
            WHERE r.account_id = has_answers.account_id
              AND r.answered_at IS NOT NULL
              AND NOT r.is_taken
        );
    END IF;
    RETURN EXISTS (SELECT FROM contentq.batch_requests AS r WHERE r.answered_at IS NOT NULL AND NOT r.is_taken);
END;
$$;

COMMENT ON FUNCTION contentq.has_answers(bigint) IS
    'Internal: whether answers of batches wait for tasks of an account, or of any, that collect them.';
