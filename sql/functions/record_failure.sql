-- Applies the retry rules to one failed attempt: back to pending with one retry charged, or failed.
-- Called by: fail(), rescue_silent() and release_unknown(), which have locked the row of the task.
-- is_charged: false for an attempt that costs no retry; the task goes back to pending, and only attempt_errors records it.
-- state: handler_state for the next attempt; NULL keeps the current one, an empty object removes it.
-- Locks: the row of the task; a row of failure_counts that no other session has locked. Returns: the new status.
-- Source of the rule: max_attempts = max_retries + 1, so a retry is left while retry_count < max_retries.
CREATE OR REPLACE FUNCTION contentq.record_failure(
    id bigint,
    message text,
    error_class text,
    permanent boolean,
    delay interval,
    is_charged boolean DEFAULT true,
    state jsonb DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(record_failure.message, ''), 'no message given');
    kept_message constant text := contentq.shorten(full_message, 8000);
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN NOT record_failure.is_charged
                           OR NOT record_failure.permanent AND t.retry_count < t.max_retries
                      THEN 'pending' ELSE 'failed' END,
        retry_count = CASE WHEN record_failure.is_charged
                                AND NOT record_failure.permanent AND t.retry_count < t.max_retries
                           THEN t.retry_count + 1 ELSE t.retry_count END,
        scheduled_at = CASE WHEN NOT record_failure.permanent AND t.retry_count < t.max_retries
                                 AND record_failure.delay > interval '0'
                            THEN clock_timestamp() + record_failure.delay END,
        error_message = CASE WHEN record_failure.is_charged THEN kept_message ELSE t.error_message END,
        attempt_errors = contentq.add_error(
            t.attempt_errors, t.attempt, t.worker_id, record_failure.error_class, full_message
        ),
        handler_state = CASE WHEN record_failure.state IS NULL THEN t.handler_state
                             ELSE nullif(record_failure.state, '{}') END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = record_failure.id
    RETURNING t.status INTO new_status;
    PERFORM contentq.count_failure(record_failure.error_class);
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.record_failure(bigint, text, text, boolean, interval, boolean, jsonb) IS
    'Internal: applies the retry rules to a failed attempt whose row the caller has locked; returns the new status.';
