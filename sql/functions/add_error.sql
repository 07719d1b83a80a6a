-- Appends a failed attempt to attempt_errors, which keeps the last 20.
-- Called by: record_failure() and revise(), which store it. Locks: nothing. Returns: the new attempt_errors.
CREATE OR REPLACE FUNCTION contentq.add_error(
    attempt_errors jsonb,
    attempt integer,
    worker_id bigint,
    error_class text,
    message text
)
RETURNS jsonb
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN jsonb_array_length(add_error.attempt_errors) >= 20
                THEN add_error.attempt_errors - 0 ELSE add_error.attempt_errors END
        || jsonb_build_object(
            'attempt', add_error.attempt,
            'at', clock_timestamp(),
            'worker_id', add_error.worker_id,
            'error_class', contentq.shorten(add_error.error_class, 200),
            'message', contentq.shorten(add_error.message, 1000)
        );
$$;

COMMENT ON FUNCTION contentq.add_error(jsonb, integer, bigint, text, text) IS
    'Internal: the attempt_errors of a task with one more failure; it keeps the last 20.';
