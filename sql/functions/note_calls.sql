-- Counts the tasks that a worker with a gate starts, with which refusals are compared.
-- Called by: claim(). Locks: the worker's row of claimers; if another session has locked it, nothing is counted, so it
--            never waits.
-- Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.note_calls(worker contentq.workers, number integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF worker.gate IS NOT NULL THEN
        UPDATE contentq.claimers AS c
        SET calls = c.calls + note_calls.number
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = (note_calls.worker).id
                             FOR NO KEY UPDATE SKIP LOCKED);
        PERFORM contentq.spend_gate(worker.gate, note_calls.number);
    END IF;
    PERFORM contentq.spend_gate('*', note_calls.number);
END;
$$;

COMMENT ON FUNCTION contentq.note_calls(contentq.workers, integer) IS
    'Internal: counts the tasks that a worker with a gate starts, and takes them from the bucket of its gate.';
