-- Puts a task back to pending until a given time, with no retry charged: the work was not tried in earnest,
-- for instance because a provider said 429.
-- Called by: workers. Locks: the task's row.
-- Returns: whether it counted; false when (worker, attempt) no longer holds, or the task was cancelled or is
--          past its deadline (it is then ended).
CREATE OR REPLACE FUNCTION contentq.snooze(
    worker_id bigint,
    id bigint,
    attempt integer,
    resume_at timestamptz,
    message text DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(snooze.worker_id) THEN
        RETURN false;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(snooze.worker_id, ARRAY[snooze.id], ARRAY[snooze.attempt]);

    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        scheduled_at = CASE WHEN snooze.resume_at > clock_timestamp() THEN snooze.resume_at END,
        error_message = coalesce(contentq.shorten(snooze.message, 8000), t.error_message),
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = snooze.id
      AND t.attempt = snooze.attempt
      AND contentq.is_held(t.status, t.worker_id, snooze.worker_id);
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION contentq.snooze(bigint, bigint, integer, timestamptz, text) IS
    'Puts a task back to pending until resume_at, no retry charged; returns whether this worker still held it.';
