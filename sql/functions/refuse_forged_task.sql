-- Refuses a new task with values that a producer may not set: state, an outcome, a time that is not the present, or an id
-- that does not come from the sequence, which would make other inserts fail later.
-- Called by: the trigger content_generation_tasks_forged, for roles that may insert tasks but not update their status.
-- Locks: nothing. Returns: the row unchanged. Raises: 42501 (insufficient_privilege), with the columns in its message.
-- The conditions are here and not in the trigger, because PostgreSQL parses the condition of a trigger anew in each
-- statement.
-- It runs with the rights of the owner because producers have no rights on the sequence. The id must be the last value that
-- the session got from it, as the default gives. If the default of id uses no sequence, ids are not checked.
CREATE OR REPLACE FUNCTION contentq.refuse_forged_task()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    earliest constant timestamptz := CURRENT_TIMESTAMP - interval '5 minutes';
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    sequence regclass;
    forged text[];
BEGIN
    IF NEW.status <> 'pending'
        OR NEW.attempt <> 0
        OR NEW.retry_count <> 0
        OR NEW.revision_count <> 0
        OR NEW.attempt_errors <> '[]'
        OR num_nonnulls(
            NEW.content_id, NEW.worker_id, NEW.started_at, NEW.completed_at, NEW.cancel_requested_at,
            NEW.progress, NEW.progress_note, NEW.gate, NEW.gate_entered_at, NEW.handler_state,
            NEW.error_message, NEW.result, NEW.revision_note, NEW.ready_at
        ) > 0
        OR least(NEW.submitted_at, NEW.created_at, NEW.updated_at) < earliest
        OR greatest(NEW.submitted_at, NEW.created_at, NEW.updated_at) > latest
    THEN
        forged := array_remove(
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
                CASE WHEN NEW.gate IS NOT NULL THEN 'gate' END,
                CASE WHEN NEW.gate_entered_at IS NOT NULL THEN 'gate_entered_at' END,
                CASE WHEN NEW.handler_state IS NOT NULL THEN 'handler_state' END,
                CASE WHEN NEW.error_message IS NOT NULL THEN 'error_message' END,
                CASE WHEN NEW.result IS NOT NULL THEN 'result' END,
                CASE WHEN NEW.attempt_errors <> '[]' THEN 'attempt_errors' END,
                CASE WHEN NEW.revision_count <> 0 THEN 'revision_count' END,
                CASE WHEN NEW.revision_note IS NOT NULL THEN 'revision_note' END,
                CASE WHEN NEW.ready_at IS NOT NULL THEN 'ready_at' END
            ],
            NULL
        );
        RAISE EXCEPTION 'a producer may not set % of a new task', array_to_string(forged, ', ')
            USING ERRCODE = 'insufficient_privilege',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = coalesce(forged[1], ''),
                  HINT = 'Omit these columns to get their defaults. A producer may set task_id, account_id, priority, topic, '
                         'keywords, category, requirements, tone, auto_approve, max_retries, submitted_at, scheduled_at, '
                         'timeout_at, batch and traceparent; submitted_at, created_at and updated_at must be within 5 minutes '
                         'of now. A role that may UPDATE status may insert any values.';
    END IF;

    sequence := pg_get_serial_sequence('public.content_generation_tasks', 'id');
    IF sequence IS NULL THEN
        SELECT s.oid
        INTO sequence
        FROM pg_attribute AS a
        JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        JOIN pg_depend AS u
            ON u.classid = 'pg_attrdef'::regclass
            AND u.objid = d.oid
            AND u.refclassid = 'pg_class'::regclass
        JOIN pg_class AS s ON s.oid = u.refobjid AND s.relkind = 'S'
        WHERE a.attrelid = 'public.content_generation_tasks'::regclass
          AND a.attname = 'id';
    END IF;
    BEGIN
        IF sequence IS NULL OR NEW.id = currval(sequence) THEN
            RETURN NEW;
        END IF;
    EXCEPTION
        WHEN object_not_in_prerequisite_state THEN
            NULL;  -- the session has not used the sequence
    END;
    RAISE EXCEPTION 'a producer may not set id of a new task'
        USING ERRCODE = 'insufficient_privilege',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'id',
              HINT = 'Omit id: it comes from a sequence, and INSERT ... RETURNING id returns it. To choose an identifier, set '
                     'task_id. A role that may UPDATE status may insert any id.';
END;
$$;

COMMENT ON FUNCTION contentq.refuse_forged_task() IS
    'Trigger: raises insufficient_privilege for a new task with a status, an outcome, a time or an id that a producer may '
    'not set.';
