-- Asks a provider something for a task, to go with its next batch. The handler then snoozes the task.
-- Called by: handlers of batches. Locks: the task's row.
-- provider: the address of its API; model: which one is asked, since a batch is for one model; body: the request, as JSON.
-- handler_state becomes {"asked_by_attempt": attempt}, in the same transaction, and gets the batch's id when there is one.
-- Returns: whether it counted; false when (worker, attempt) no longer holds, or the task was cancelled or is past its
--          deadline.
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
    VALUES (ask_batch.id, ask_batch.attempt, account, category, ask_batch.provider, ask_batch.model, ask_batch.body)
    ON CONFLICT DO NOTHING;  -- a call whose answer was lost is made again
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.ask_batch(bigint, bigint, integer, text, text, text) IS
    'Asks a provider something for a task that this worker holds, to go with its next batch; body is the request as JSON. '
    'Returns whether it counted. The task is then to be snoozed.';
