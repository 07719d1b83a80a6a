-- Removes a worker that stops, and releases the tasks that it still holds without charging a retry.
-- Called by: a worker at the end of a graceful stop.
-- Locks: its tasks in id order, then its row. Returns: the ids of the released tasks, at most 10,000. Any further tasks,
--        more than a worker ever claims, belong to nobody then and are rescued.
CREATE OR REPLACE FUNCTION contentq.deregister_worker(worker_id bigint)
RETURNS SETOF bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
BEGIN
    IF NOT contentq.is_own_worker(deregister_worker.worker_id) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT contentq.release(deregister_worker.worker_id, array_agg(h.id), array_agg(h.attempt))
    FROM contentq.held_attempts(deregister_worker.worker_id, 10000) AS h
    HAVING count(*) > 0;

    PERFORM contentq.forget_worker(deregister_worker.worker_id);
END;
$$;

COMMENT ON FUNCTION contentq.deregister_worker(bigint) IS
    'Removes a worker and releases the tasks that it still holds without charging a retry; returns their ids.';
