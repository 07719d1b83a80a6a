-- Lists the workers that hold tasks but are not registered.
-- A worker may be removed while one of its tasks is locked, or while its claim commits. Such tasks are rescued later.
-- Called by: rescue_silent(), unregistered_running().
-- Locks: nothing. Returns: their ids, in order, at most 1000. One index lookup for each worker that holds tasks; the tasks
--        themselves are not read.
CREATE OR REPLACE FUNCTION contentq.unregistered_holders()
RETURNS SETOF bigint
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    WITH RECURSIVE holders (id) AS (
        SELECT (SELECT t.worker_id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'processing'
                  AND t.worker_id IS NOT NULL
                ORDER BY t.worker_id
                LIMIT 1)
        UNION ALL
        SELECT (SELECT t.worker_id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'processing'
                  AND t.worker_id > h.id
                ORDER BY t.worker_id
                LIMIT 1)
        FROM holders AS h
        WHERE h.id IS NOT NULL
    )
    SELECT h.id
    FROM holders AS h
    WHERE h.id IS NOT NULL
      AND NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = h.id)
    LIMIT 1000;
$$;

COMMENT ON FUNCTION contentq.unregistered_holders() IS
    'Internal: the ids of workers that hold tasks but are not registered.';
