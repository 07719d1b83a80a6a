-- Reports that an attempt failed.
-- Called by: workers, after a handler raised an error.
-- Locks: the row of the task. Returns: the new status: pending (a retry is charged), failed, or timeout if its deadline has
--        passed;
--        NULL if the worker no longer holds this attempt.
-- The retry waits for retry_after, or without it for a random backoff. permanent: no retry.
-- state: handler_state for the next attempt, as in snooze().
-- unanswered: the provider did not answer. The next claim of the gate, the worker's or the one that the attempt entered,
-- evaluates it. In an outage, retries wait until the provider is tried again, spread over 10 seconds times the number of
-- attempts charged, so that different tasks are tried in the meantime.
CREATE OR REPLACE FUNCTION contentq.fail(
    worker_id bigint,
    id bigint,
    attempt integer,
    message text,
    permanent boolean DEFAULT false,
    retry_after interval DEFAULT NULL,
    error_class text DEFAULT NULL,
    unanswered boolean DEFAULT false,
    state jsonb DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
    delay interval := fail.retry_after;
BEGIN
    IF NOT contentq.is_own_worker(fail.worker_id) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT contentq.end_cancelled_or_overdue(fail.worker_id, ARRAY[fail.id], ARRAY[fail.attempt])) THEN
        RETURN (SELECT t.status FROM public.content_generation_tasks AS t WHERE t.id = fail.id);
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = fail.id
      AND t.attempt = fail.attempt
      AND contentq.is_held(t.status, t.worker_id, fail.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF fail.unanswered THEN
        delay := contentq.note_unanswered(
            coalesce(task.gate, (SELECT w.gate FROM contentq.workers AS w WHERE w.id = fail.worker_id)),
            coalesce(task.gate_entered_at, task.started_at), task.retry_count, delay, fail.message
        );
    ELSE
        PERFORM contentq.note_failure(task, coalesce(fail.permanent, false));
        PERFORM contentq.note_answers(fail.worker_id, 1, task.started_at, 0, ARRAY[task.id]::bigint[]);
    END IF;

    RETURN contentq.record_failure(
        task.id, fail.message, fail.error_class, coalesce(fail.permanent, false),
        coalesce(delay, contentq.backoff(task.retry_count)), state => fail.state
    );
END;
$$;

COMMENT ON FUNCTION contentq.fail(bigint, bigint, integer, text, boolean, interval, text, boolean, jsonb) IS
    'Reports a failed attempt: back to pending with one retry charged (after retry_after, or a random backoff), or failed '
    'if permanent or if no retry is left. Returns the new status; NULL if this worker no longer holds this attempt. '
    'unanswered: the provider did not answer the call. state: as in snooze.';
