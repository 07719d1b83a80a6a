-- Checks whether a task still waits for the answer to a request that one of its attempts made.
-- Called by: open_batch(), next_batch(), batch_lines(), note_batch(), answer_batch(), close_batch(), wake_answered() and
--            sweep_batches().
-- Locks: nothing. Returns: true or false, never NULL.
-- Like is_held(), it sets no search_path, so that it is inlined.
-- A task that was requeued, or has made another request, waits for no earlier answer.
CREATE OR REPLACE FUNCTION contentq.is_batch_wanted(status text, handler_state jsonb, attempt integer)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN coalesce(status IN ('pending', 'processing') AND handler_state->>'asked_by_attempt' = attempt::text, false);

COMMENT ON FUNCTION contentq.is_batch_wanted(text, jsonb, integer) IS
    'Internal: whether a task with this status and handler_state waits for the answer to the request of this attempt.';
