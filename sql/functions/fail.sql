-- Reports that an attempt failed.
-- Called by: workers, when a handler raised an error.
-- Locks: the task's row. Returns: the new status: pending (a retry is charged), failed, or timeout when its
--        deadline has passed; NULL when refused, because (worker, attempt) no longer holds.
-- The retry waits for retry_after when given, else for a random backoff. permanent: no retry.
CREATE OR REPLACE FUNCTION contentq.fail(
    worker_id bigint,
    id bigint,
    attempt integer,
    message text,
    permanent boolean DEFAULT false,
    retry_after interval DEFAULT NULL,
    error_class text DEFAULT NULL
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

    PERFORM contentq.note_failure(task, coalesce(fail.permanent, false));
    RETURN contentq.record_failure(
        task.id, fail.message, fail.error_class, coalesce(fail.permanent, false),
        coalesce(fail.retry_after, contentq.backoff(task.retry_count))
    );
END;
$$;

COMMENT ON FUNCTION contentq.fail(bigint, bigint, integer, text, boolean, interval, text) IS
    'Reports a failed attempt: back to pending with one retry charged (after retry_after, or a random backoff), '
    'or failed when permanent or when no retry is left. Returns the new status, NULL when the task is no longer '
    'held by this worker in this attempt.';
