-- Resets the quick failures of workers after a success, or when the task was the cause.
-- Called by: complete(), store(), note_failure().
-- Locks: rows of claimers with quick failures, skipping locked ones, so it never waits. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.clear_failures(worker_ids bigint[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    failing constant bigint[] := ARRAY(
        SELECT c.worker_id
        FROM contentq.claimers AS c
        WHERE c.worker_id = ANY (clear_failures.worker_ids)
          AND c.quick_failures > 0
        ORDER BY c.worker_id
        FOR NO KEY UPDATE SKIP LOCKED
    );
BEGIN
    IF cardinality(failing) > 0 THEN
        UPDATE contentq.claimers AS c SET quick_failures = 0 WHERE c.worker_id = ANY (failing);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.clear_failures(bigint[]) IS
    'Internal: resets the quick failures of workers.';
