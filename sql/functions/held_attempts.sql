-- Lists the attempts that a worker holds.
-- Called by: heartbeat() and deregister_worker().
-- Locks: nothing. Returns: one row for each attempt, max_rows at most.
CREATE OR REPLACE FUNCTION contentq.held_attempts(worker_id bigint, max_rows integer)
RETURNS TABLE (id bigint, attempt integer, started_at timestamptz, is_cancelled boolean)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    -- A range and an order that only the index on worker_id has; = would allow any index.
    SELECT t.id::bigint, t.attempt, t.started_at, t.cancel_requested_at IS NOT NULL
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN held_attempts.worker_id AND held_attempts.worker_id
      AND t.status = 'processing'
    ORDER BY t.worker_id
    LIMIT held_attempts.max_rows;
$$;

COMMENT ON FUNCTION contentq.held_attempts(bigint, integer) IS
    'Internal: up to max_rows attempts that a worker holds, when each was claimed and whether it was cancelled.';
