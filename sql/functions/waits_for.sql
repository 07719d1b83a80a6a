-- Says in words why a worker gets nothing now: draining, a gate, or that it has only failed.
-- Called by: workers, in the statement of a claim, to log it. Locks: nothing. workers_wait() says it of all workers.
-- Returns: NULL when nothing of the worker's own is in the way.
-- Raises: CQ003 when another login has registered the worker, for logins that may not read the gates.
CREATE OR REPLACE FUNCTION contentq.waits_for(worker_id bigint)
RETURNS text
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    IF NOT has_table_privilege(session_user, 'contentq.gates', 'SELECT') THEN
        PERFORM contentq.is_own_worker(waits_for.worker_id);
    END IF;
    RETURN (
        SELECT string_agg(r.why, '; ')
        FROM contentq.workers AS w
        CROSS JOIN LATERAL contentq.worker_wait(w) AS r
        WHERE w.id = waits_for.worker_id
    );
END;
$$;

COMMENT ON FUNCTION contentq.waits_for(bigint) IS
    'Why a worker gets nothing now: it is draining, a gate is in the way, or it has only failed; NULL when none of these.';
