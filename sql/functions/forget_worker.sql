-- Removes a worker's row, and its mark on tasks that were taken from it: there is no one left to tell.
-- Called by: deregister_worker() and rescue_dead_workers(), after its running tasks were dealt with.
-- Locks: those tasks in id order, skipping what others hold (the mark is then only a leftover number),
--        and the worker's row. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.forget_worker(worker_id bigint)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE public.content_generation_tasks AS t
    SET worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id IN (
        SELECT r.id
        FROM public.content_generation_tasks AS r
        WHERE r.worker_id = forget_worker.worker_id
          AND r.status <> 'processing'
        ORDER BY r.id
        FOR UPDATE SKIP LOCKED
    );

    DELETE FROM contentq.workers WHERE id = forget_worker.worker_id;
$$;

COMMENT ON FUNCTION contentq.forget_worker(bigint) IS
    'Internal: removes the row of a worker that holds nothing any more.';
