-- Says whether a task still waits for what an attempt of it has asked of a provider.
-- Called by: open_batch(), next_batch(), batch_lines(), note_batch(), answer_batch(), close_batch(), wake_answered() and
--            sweep_batches().
-- Locks: nothing. Returns: true or false, never NULL.
-- Like is_held() without a search_path of its own, so that its body becomes part of the query.
-- A task that was requeued, or has asked again, waits for no earlier answer.
CREATE OR REPLACE FUNCTION contentq.is_batch_wanted(status text, handler_state jsonb, attempt integer)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN coalesce(status IN ('pending', 'processing') AND handler_state->>'asked_by_attempt' = attempt::text, false);

COMMENT ON FUNCTION contentq.is_batch_wanted(text, jsonb, integer) IS
    'Internal: whether a task with this status and handler_state waits for what this attempt has asked.';
