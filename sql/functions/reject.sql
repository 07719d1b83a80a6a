-- Rejects content; with revise, makes its task pending again for another version.
-- Called by: reviewers. Locks: the row of the content, then that of the task.
-- Returns: rejected; with revise, pending: the status of the task now.
-- reviewer: who decided, up to 100 characters, as the caller states it; the login by default.
-- note: the reason. With revise, what the handler must change: it gets the note as revision_note, and this content.
-- review_status: the current status of the content. To send approved content back, pass approved.
-- Raises: CQ005 if someone else has already decided, or if the caller sees no such content; with revise, also if its task
--         was deleted, is pending or running again, or has produced a later version.
CREATE OR REPLACE FUNCTION contentq.reject(
    content_id bigint,
    reviewer text DEFAULT session_user,
    note text DEFAULT NULL,
    revise boolean DEFAULT false,
    review_status text DEFAULT 'pending'
)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    content public.contents;
    task public.content_generation_tasks;
    refusal text;
BEGIN
    content := contentq.mark_reviewed(
        reject.content_id, 'rejected', reject.reviewer, reject.note, reject.review_status
    );
    IF reject.revise IS NOT TRUE THEN
        RETURN content.review_status;
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = contentq.task_of_content(content.id, content.generation_task_id, content.account_id)
      AND t.account_id + 0 = content.account_id
    FOR NO KEY UPDATE;
    refusal := CASE
        WHEN NOT FOUND THEN 'its task no longer exists'
        WHEN task.status IN ('pending', 'processing')
            THEN format('its task %s is already %s again', task.task_id, task.status)
        WHEN task.content_id IS DISTINCT FROM content.id
            THEN format('it is an older version: the latest of task %s is %s', task.task_id,
                        coalesce('content ' || task.content_id, 'deleted'))
    END;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'content % cannot be sent back: %', content.id, refusal
            USING ERRCODE = 'CQ005',
                  HINT = 'To reject it without a revision, leave out revise.';
    END IF;
    PERFORM contentq.requeue_tasks(ARRAY[task.id]::bigint[], reject.note);
    RETURN 'pending';
END;
$$;

COMMENT ON FUNCTION contentq.reject(bigint, text, text, boolean, text) IS
    'Rejects content that is pending (or has the given review_status); with revise, also makes its task pending again '
    'with the note, in the same transaction. Raises CQ005 if someone else has already decided, or if the task cannot be '
    'requeued.';
