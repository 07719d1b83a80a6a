-- Rejects content; with revise its task goes back to pending, for another version.
-- Called by: reviewers. Locks: the content's row, then the task's.
-- Returns: rejected; pending, the status of the task now, with revise.
-- reviewer: who decided, up to 100 characters; it is what the caller says, and the login when it says nothing.
-- note: why. With revise it is what the handler is to change: it finds the note as revision_note, and this content.
-- review_status: what the content must be now. To send approved content back, say approved.
-- Raises: CQ005 when another has decided meanwhile, or there is no such content that the caller may see; with revise, when
--         its task is gone or runs again, or has produced a later version.
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
        WHEN NOT FOUND THEN 'its task is not there any more, and nothing can revise it'
        WHEN task.status IN ('pending', 'processing')
            THEN format('its task %s is %s again already', task.task_id, task.status)
        WHEN task.content_id IS DISTINCT FROM content.id
            THEN format('it is an older version: the latest of task %s is %s', task.task_id,
                        coalesce('content ' || task.content_id, 'gone'))
    END;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'content % cannot be sent back: %', content.id, refusal
            USING ERRCODE = 'CQ005',
                  HINT = 'To reject it all the same, leave out revise.';
    END IF;
    PERFORM contentq.requeue_tasks(ARRAY[task.id]::bigint[], reject.note);
    RETURN 'pending';
END;
$$;

COMMENT ON FUNCTION contentq.reject(bigint, text, text, boolean, text) IS
    'Rejects content that is pending (or what review_status says), and with revise puts its task back with the note, '
    'in the same transaction; raises CQ005 when another has decided meanwhile, or the task cannot go back.';
