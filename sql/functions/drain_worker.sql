-- Marks a worker as draining: it claims no more tasks and is about to stop.
-- Called by: a worker at the start of a graceful stop.
-- Locks: the row of the worker. Returns: nothing. An unknown worker is not an error, because it is about to stop anyway.
CREATE OR REPLACE FUNCTION contentq.drain_worker(worker_id bigint)
RETURNS void
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    UPDATE contentq.workers
    SET draining = true
    WHERE id = drain_worker.worker_id
      AND contentq.is_own_worker(drain_worker.worker_id);
$$;

COMMENT ON FUNCTION contentq.drain_worker(bigint) IS
    'Marks a worker as draining: it claims no more tasks; its running tasks may still end.';
