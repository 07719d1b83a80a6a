-- Returns the answer to a request that an earlier attempt made with ask_batch().
-- Called by: handlers of batches. Locks: the row of the request.
-- Returns: the model, the body of the request, and the status code and body of the answer, both NULL while there is none;
--          no row if there is no request or the worker no longer holds the attempt.
-- The answer stays until the task has ended: if the worker of an attempt dies, the next attempt finds it again.
CREATE OR REPLACE FUNCTION contentq.batch_answer(worker_id bigint, id bigint, attempt integer)
RETURNS TABLE (model text, body text, status_code integer, answer text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    asked text;
BEGIN
    IF NOT contentq.is_own_worker(batch_answer.worker_id) THEN
        RETURN;
    END IF;
    SELECT t.handler_state->>'asked_by_attempt'
    INTO asked
    FROM public.content_generation_tasks AS t
    WHERE t.id = batch_answer.id
      AND t.attempt = batch_answer.attempt
      AND contentq.is_held(t.status, t.worker_id, batch_answer.worker_id);
    RETURN QUERY
    UPDATE contentq.batch_requests AS r
    SET is_taken = r.answered_at IS NOT NULL
    WHERE r.id = batch_answer.id
      AND r.attempt::text = asked
    RETURNING r.model, r.body, r.status_code, r.answer;
END;
$$;

COMMENT ON FUNCTION contentq.batch_answer(bigint, bigint, integer) IS
    'The answer to the request that an earlier attempt at a task of this worker made with ask_batch(); NULLs while there '
    'is none, no row without a request.';
