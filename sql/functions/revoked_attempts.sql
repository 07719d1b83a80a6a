-- Lists the attempts that a worker must stop: cancelled ones, and ones that are no longer its own but still have its id.
-- Called by: heartbeat() and forget_worker().
-- Locks: nothing. Returns: one row for each, at most 10,000. is_lost: whether it no longer belongs to the worker.
CREATE OR REPLACE FUNCTION contentq.revoked_attempts(worker_id bigint)
RETURNS TABLE (id bigint, attempt integer, is_lost boolean)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    -- A range and an order that only the index on revoked tasks has; = would allow any index.
    SELECT t.id::bigint, t.attempt, t.status <> 'processing'
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN revoked_attempts.worker_id AND revoked_attempts.worker_id
      AND (t.status <> 'processing' OR t.cancel_requested_at IS NOT NULL)
    ORDER BY t.worker_id
    LIMIT 10000;
$$;

COMMENT ON FUNCTION contentq.revoked_attempts(bigint) IS
    'Internal: the attempts that a worker must stop, at most 10,000.';
