-- Puts a task that ended without success back to pending, with all its retries.
-- Called by: operators. Locks: the task's row.
-- Returns: pending; NULL when there is no such task or it is not failed or timeout.
-- A deadline that has passed is removed, since it would end the task again at once; attempt goes on counting.
CREATE OR REPLACE FUNCTION contentq.requeue(task_id text)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        retry_count = 0,
        scheduled_at = NULL,
        completed_at = NULL,
        timeout_at = CASE WHEN t.timeout_at > clock_timestamp() THEN t.timeout_at END,
        cancel_requested_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.task_id = requeue.task_id
      AND t.status IN ('failed', 'timeout')
    RETURNING t.status INTO new_status;

    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.requeue(text) IS
    'Puts a failed or timeout task back to pending with all its retries; returns pending, NULL when it is not '
    'failed or timeout.';
