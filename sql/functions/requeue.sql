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
#variable_conflict use_column
DECLARE
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        retry_count = 0,
        revision_count = 0,
        scheduled_at = NULL,
        ready_at = clock_timestamp(),
        completed_at = NULL,
        timeout_at = CASE WHEN t.timeout_at > clock_timestamp() THEN t.timeout_at END,
        cancel_requested_at = NULL,
        error_message = coalesce(contentq.shorten(requeue.note, 8000), t.error_message),
        revision_note = coalesce(contentq.shorten(requeue.note, 8000), t.revision_note),
        updated_at = CURRENT_TIMESTAMP
    WHERE t.task_id = requeue.task_id
      AND (t.status IN ('failed', 'timeout')
           OR t.status = 'completed'
              AND EXISTS (SELECT
                          FROM public.contents AS c
                          WHERE c.id = t.content_id
                            AND c.account_id + 0 = t.account_id
                            AND c.review_status = 'rejected'))
    RETURNING t.status INTO new_status;
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.requeue(text, text) IS
    'Puts a task back to pending with all its retries when it is failed or timeout, or completed with content that '
    'was rejected; note is what the handler finds as the previous error. Returns pending, NULL when it is none of these.';
