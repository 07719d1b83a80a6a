-- Puts a task that ended without success back to pending, with all its retries and revisions; or one whose content a
-- reviewer has rejected, for a revision.
-- Called by: operators. Locks: the task's row.
-- Returns: pending; NULL when there is no such task, or it is neither failed nor timeout nor completed with rejected
--          content.
-- The handler finds the content of the earlier attempt, and note, when given, as its error and as revision_note.
-- A deadline that has passed is removed, since it would end the task again at once; attempt goes on counting.
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
    'Puts a task back to pending with all its retries when it is failed or timeout, or completed with content that '
    'was rejected; note is what the handler finds as the previous error. Returns pending, NULL when it is none of these.';
