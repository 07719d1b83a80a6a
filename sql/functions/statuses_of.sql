-- Counts tasks by status: the given tasks, or the tasks of a batch.
-- Called by: contentq.wait() in Python, and others that wait. Locks: nothing. Returns: a row for each status that occurs.
CREATE OR REPLACE FUNCTION contentq.statuses_of(task_ids text[] DEFAULT NULL, batch text DEFAULT NULL)
RETURNS TABLE (status text, tasks bigint)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT t.status, count(*)
    FROM (
        SELECT n.status
        FROM public.content_generation_tasks AS n
        WHERE n.task_id = ANY (statuses_of.task_ids)
        UNION ALL
        SELECT b.status
        FROM public.content_generation_tasks AS b
        WHERE b.batch = statuses_of.batch
    ) AS t
    GROUP BY t.status
    ORDER BY t.status;
$$;

COMMENT ON FUNCTION contentq.statuses_of(text[], text) IS
    'How many of these tasks, or of the tasks of this batch, have each status.';
