-- Removes the row of a worker, and its id from tasks that were taken from it: nobody is left to be told.
-- Called by: deregister_worker() and rescue_silent(), after its running tasks were handled.
-- Locks: up to 1000 of those tasks in id order, skipping locked ones, and the rows of the worker. An id that stays on a
--        task does no harm; maintain() removes rows of claimers or gate_counts that are locked now.
-- Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.forget_worker(worker_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET enable_sort = on
AS $$
DECLARE
    marked bigint[];
BEGIN
    marked := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (ARRAY(SELECT r.id
                                FROM contentq.revoked_attempts(forget_worker.worker_id) AS r
                                WHERE r.is_lost
                                LIMIT 1000))
          AND t.worker_id + 0 = forget_worker.worker_id
          AND t.status || '' <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(marked) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (marked);
    END IF;

    DELETE FROM contentq.claimers AS d
    WHERE d.worker_id = (SELECT c.worker_id
                       FROM contentq.claimers AS c
                       WHERE c.worker_id = forget_worker.worker_id
                       FOR UPDATE SKIP LOCKED);
    DELETE FROM contentq.gate_counts AS d
    WHERE d.id = ANY (ARRAY(SELECT c.id
                            FROM contentq.gate_counts AS c
                            WHERE c.worker_id = forget_worker.worker_id
                            FOR UPDATE SKIP LOCKED));
    DELETE FROM contentq.workers AS w WHERE w.id = forget_worker.worker_id;
END;
$$;

COMMENT ON FUNCTION contentq.forget_worker(bigint) IS
    'Internal: removes the row of a worker that no longer holds tasks.';
