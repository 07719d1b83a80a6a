-- Refuses a new task that says more of itself than a producer may say.
-- Called by: the trigger content_generation_tasks_forged, whose condition finds such tasks; it binds roles that may insert
--            tasks and not update their status.
-- Locks: nothing. Returns: never.
-- Raises: 42501 (insufficient_privilege), with the columns in its message.
CREATE OR REPLACE FUNCTION contentq.refuse_forged_task()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    earliest constant timestamptz := CURRENT_TIMESTAMP - interval '5 minutes';
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    forged constant text[] := array_remove(
        ARRAY[
            CASE WHEN NEW.status <> 'pending' THEN 'status' END,
            CASE WHEN NEW.content_id IS NOT NULL THEN 'content_id' END,
            CASE WHEN NEW.retry_count <> 0 THEN 'retry_count' END,
            CASE WHEN NEW.attempt <> 0 THEN 'attempt' END,
            CASE WHEN NEW.worker_id IS NOT NULL THEN 'worker_id' END,
            CASE WHEN NEW.submitted_at NOT BETWEEN earliest AND latest THEN 'submitted_at' END,
            CASE WHEN NEW.started_at IS NOT NULL THEN 'started_at' END,
            CASE WHEN NEW.completed_at IS NOT NULL THEN 'completed_at' END,
            CASE WHEN NEW.cancel_requested_at IS NOT NULL THEN 'cancel_requested_at' END,
            CASE WHEN NEW.created_at NOT BETWEEN earliest AND latest THEN 'created_at' END,
            CASE WHEN NEW.updated_at NOT BETWEEN earliest AND latest THEN 'updated_at' END,
            CASE WHEN NEW.progress IS NOT NULL THEN 'progress' END,
            CASE WHEN NEW.progress_note IS NOT NULL THEN 'progress_note' END,
            CASE WHEN NEW.error_message IS NOT NULL THEN 'error_message' END,
            CASE WHEN NEW.result IS NOT NULL THEN 'result' END,
            CASE WHEN NEW.attempt_errors <> '[]' THEN 'attempt_errors' END
        ],
        NULL
    );
BEGIN
    RAISE EXCEPTION 'a producer may not set % of a new task', array_to_string(forged, ', ')
        USING ERRCODE = 'insufficient_privilege',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = coalesce(forged[1], ''),
              HINT = 'Leave it out, and it gets its default. A producer may set task_id, account_id, priority, topic, '
                     'keywords, category, requirements, tone, auto_approve, max_retries, submitted_at, scheduled_at and '
                     'timeout_at; submitted_at, created_at and updated_at must be within 5 minutes of the present. A role '
                     'that may UPDATE status may insert anything.';
END;
$$;

COMMENT ON FUNCTION contentq.refuse_forged_task() IS
    'Trigger: raises insufficient_privilege for a new task with a status, an outcome or a time that is not for a producer '
    'to set.';
