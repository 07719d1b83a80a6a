-- Removes a worker that stops, and releases whatever it still holds (nothing charged).
-- Called by: a worker at the end of a graceful stop.
-- Locks: its tasks in id order, then its row. Returns: the ids of the released tasks.
CREATE OR REPLACE FUNCTION contentq.deregister_worker(worker_id bigint)
RETURNS SETOF bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT contentq.release(deregister_worker.worker_id, array_agg(h.id), array_agg(h.attempt))
    FROM (
        -- A range and an order that only the index on the holders of tasks has; = would make any index do.
        SELECT t.id, t.attempt
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN deregister_worker.worker_id AND deregister_worker.worker_id
          AND t.status = 'processing'
        ORDER BY t.worker_id
    ) AS h
    HAVING count(*) > 0;

    PERFORM contentq.forget_worker(deregister_worker.worker_id);
END;
$$;

COMMENT ON FUNCTION contentq.deregister_worker(bigint) IS
    'Removes a worker and releases the tasks that it still holds, nothing charged; returns their ids.';
