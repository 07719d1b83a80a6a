-- Says which of the tasks that a worker holds other sessions have locked.
-- Called by: workers whose report had to wait for a lock too long.
-- Locks: those of the tasks that are free, for an instant in a statement of its own. Returns: the ids of the others.
-- Tasks that the worker does not hold are left alone: no report of it waits for them.
CREATE OR REPLACE FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[])
RETURNS SETOF bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(locked_tasks.worker_id) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT t.id::bigint
    FROM unnest(locked_tasks.ids) AS n (id)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id)
    EXCEPT
    SELECT f.id
    FROM (
        SELECT t.id::bigint
        FROM unnest(locked_tasks.ids) AS n (id)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
        WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id)
        ORDER BY n.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    ) AS f (id);
END;
$$;

COMMENT ON FUNCTION contentq.locked_tasks(bigint, bigint[]) IS
    'Of these tasks, those that this worker holds and that other sessions have locked: reports of them would wait.';
