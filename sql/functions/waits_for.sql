-- Returns why a worker may not start a task now: it is draining, a gate limits it, or it keeps failing.
-- Called by: workers, in the statement of a claim, for their logs. Locks: nothing. workers_wait() does the same for all
--            workers.
-- Returns: the reasons as text; NULL if neither a gate nor the state of the worker limits it.
-- Raises: CQ003 if another login registered the worker, for logins that may not read contentq.gates.
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
    'Why a worker may not start a task now: it is draining, a gate limits it, or it keeps failing; NULL for none of these.';
