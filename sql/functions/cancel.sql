-- Cancels a task: a waiting task ends at once; a running task is stopped and can only end failed.
-- Called by: operators. Locks: the row of the task.
-- Returns: the new status: failed, or processing while its worker stops it (within 2 seconds if it is alive); NULL if the
--          task does not exist or has already ended.
CREATE OR REPLACE FUNCTION contentq.cancel(task_id text)
RETURNS text
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    SELECT c.status
    FROM public.content_generation_tasks AS t
    CROSS JOIN LATERAL contentq.cancel_tasks(ARRAY[t.id]::bigint[]) AS c (status)
    WHERE t.task_id = cancel.task_id;
$$;

COMMENT ON FUNCTION contentq.cancel(text) IS
    'Cancels a task: a waiting task fails at once (Task cancelled); a running task is stopped by its worker. Returns the '
    'new status; NULL if the task does not exist or has ended.';
