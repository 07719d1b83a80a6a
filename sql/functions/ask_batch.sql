-- Adds a request to a provider's next batch, on behalf of a task. The handler then snoozes the task.
-- Called by: handlers of batches. Locks: the row of the task.
-- provider: the address of its API. model: a batch is for one model. body: the request, a JSON object. It is stored in one
-- line, because it becomes a line of a file: line breaks are replaced by spaces. In JSON, they occur only between tokens.
-- Only workers of the calling login send the request and store its answer.
-- handler_state becomes {"asked_by_attempt": attempt} in the same transaction, and gets the batch's id when the batch
-- exists.
-- Returns: whether it counted; false if the worker no longer holds this attempt, or if the task was cancelled or is past
--          its deadline.
-- Raises: 22P02 or 54001 if body is not JSON; 22023 if it is not an object.
CREATE OR REPLACE FUNCTION contentq.ask_batch(
    worker_id bigint,
    id bigint,
    attempt integer,
    provider text,
    model text,
    body text
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    account bigint;
    category text;
BEGIN
    IF NOT contentq.is_own_worker(ask_batch.worker_id) THEN
        RETURN false;
    END IF;
    IF json_typeof(ask_batch.body::json) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the body of a request must be a JSON object, not %',
            coalesce(json_typeof(ask_batch.body::json), 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE public.content_generation_tasks AS t
    SET handler_state = jsonb_build_object('asked_by_attempt', t.attempt),
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = ask_batch.id
      AND t.attempt = ask_batch.attempt
      AND contentq.is_held(t.status, t.worker_id, ask_batch.worker_id)
      AND t.cancel_requested_at IS NULL
      AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
    RETURNING t.account_id, left(coalesce(t.category, ''), 200) INTO account, category;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO contentq.batch_requests (id, attempt, account_id, category, provider, model, body)
    VALUES (ask_batch.id, ask_batch.attempt, account, category, ask_batch.provider, ask_batch.model,
            translate(ask_batch.body, E'\r\n', '  '))
    ON CONFLICT DO NOTHING;  -- a call is repeated if its reply was lost
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.ask_batch(bigint, bigint, integer, text, text, text) IS
    'Adds a request of a task that this worker holds to the next batch of a provider; body: the request, a JSON object. '
    'Returns whether it counted. Snooze the task afterwards.';
