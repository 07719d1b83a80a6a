-- Says whether the answer of a batch waits for a task that has asked for it: it is paid for, and no budget keeps the task
-- from it.
-- Called by: admit(), explain_waiting(). Locks: nothing. Returns: true or false. For a task without a handler_state it is not
-- worth asking.
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
    'Internal: whether the answer of a batch waits for a task with this id, status and handler_state.';
