-- Makes a failed or timed-out task pending again with all its retries and revisions, or a task with rejected content for a
-- revision.
-- Called by: operators. Locks: the row of the task.
-- Returns: pending; NULL if the task does not exist, or is neither failed nor timeout nor completed with rejected content.
-- The handler gets the content of the earlier attempt. note, if given, becomes the error of the task and its revision_note.
-- A deadline that has passed is removed, because it would end the task at once. attempt keeps counting.
CREATE OR REPLACE FUNCTION contentq.requeue(task_id text, note text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    id_ constant bigint := (SELECT t.id FROM public.content_generation_tasks AS t WHERE t.task_id = requeue.task_id);
BEGIN
    IF id_ = ANY (contentq.requeue_tasks(ARRAY[id_], requeue.note)) THEN
        RETURN 'pending';
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.requeue(text, text) IS
    'Requeues a task that is failed, timeout, or completed with rejected content: pending again, with all retries. note: '
    'what the handler finds as the previous error. Returns pending; NULL if the task is in none of these states.';
