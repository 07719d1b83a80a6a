-- Finds the task that produced a piece of content.
-- Called by: reject() and the view review_queue.
-- Locks: nothing. Returns: the id of the task, which may have been deleted since; NULL if no task produced it.
-- If a program has stored content itself and completed its task with an UPDATE, the task is found by its content_id.
-- + 0: the search is among the tasks of this content, not backwards through all ids nor among all tasks of the account.
CREATE OR REPLACE FUNCTION contentq.task_of_content(content_id bigint, generation_task_id bigint, account_id bigint)
RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF task_of_content.generation_task_id IS NOT NULL THEN
        RETURN task_of_content.generation_task_id;
    END IF;
    RETURN (
        SELECT max(t.id + 0)
        FROM public.content_generation_tasks AS t
        WHERE t.content_id = task_of_content.content_id
          AND t.account_id + 0 = task_of_content.account_id
    );
END;
$$;

COMMENT ON FUNCTION contentq.task_of_content(bigint, bigint, bigint) IS
    'Internal: the id of the task that produced a piece of content.';
