-- Cancels a task: one that waits ends at once; one that runs is asked to stop and can only end failed.
-- Called by: operators. Locks: the task's row.
-- Returns: the new status: failed, or processing while its worker is stopping it (2 seconds at most if it is
--          alive); NULL when there is no such task or it has ended already.
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
    'Cancels a task: failed at once when it waits (Task cancelled); asked to stop when a worker runs it. Returns '
    'the new status, NULL when there is no such task or it has ended.';
