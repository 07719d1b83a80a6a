-- Says in words why a worker gets nothing now: draining, a gate, or that it has only failed.
-- Called by: workers, in the statement of a claim, to log it; the view worker_status. Locks: nothing.
-- Returns: NULL when nothing of the worker's own is in the way.
CREATE OR REPLACE FUNCTION contentq.waits_for(worker_id bigint)
RETURNS text
LANGUAGE sql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT string_agg(r.why, '; ')
    FROM contentq.workers AS w
    CROSS JOIN LATERAL contentq.worker_wait(w) AS r
    WHERE w.id = waits_for.worker_id;
$$;

COMMENT ON FUNCTION contentq.waits_for(bigint) IS
    'Why a worker gets nothing now: it is draining, a gate is in the way, or it has only failed; NULL when none of these.';
