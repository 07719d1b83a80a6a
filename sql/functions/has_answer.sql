-- Checks whether a batch answer is ready for the task that requested it. It is already paid for, so no budget blocks the
-- task.
-- Called by: admit(), explain_waiting(), for tasks with a handler_state. Locks: nothing. Returns: true or false.
CREATE OR REPLACE FUNCTION contentq.has_answer(task_id bigint, status text, handler_state jsonb)
RETURNS boolean
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT
        FROM contentq.batch_requests AS r
        WHERE r.id = has_answer.task_id
          AND r.answered_at IS NOT NULL
          AND contentq.is_batch_wanted(has_answer.status, has_answer.handler_state, r.attempt)
    );
$$;

COMMENT ON FUNCTION contentq.has_answer(bigint, text, jsonb) IS
    'Internal: whether a batch answer is ready for a task with this id, status and handler_state.';
