-- Reports the outcome of a call behind a gate that an attempt has entered, while the attempt continues, at another gate or
-- none.
-- Called by: workers with several gates. Locks: the row of the task. Returns: whether the report counted; false if the
-- worker no longer holds the attempt or the attempt is not behind this gate. So a repeated report counts once.
-- outcome: answered, refused, exhausted (nothing is left until resume_at) or unanswered, as complete(), snooze() and fail()
-- report it for the end of an attempt. resume_at: the time that the provider named. usage: the cost of the call, as for
-- record_usage().
-- Raises: 22023 for any other outcome.
CREATE OR REPLACE FUNCTION contentq.leave_gate(
    worker_id bigint,
    id bigint,
    attempt integer,
    key text,
    outcome text DEFAULT 'answered',
    resume_at timestamptz DEFAULT NULL,
    message text DEFAULT NULL,
    usage text DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
    tokens numeric;
    is_answered constant boolean := leave_gate.outcome = 'answered';
BEGIN
    IF leave_gate.outcome IS NULL OR leave_gate.outcome NOT IN ('answered', 'refused', 'exhausted', 'unanswered') THEN
        RAISE EXCEPTION 'outcome % is not valid: use answered, refused, exhausted or unanswered', leave_gate.outcome
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT contentq.is_own_worker(leave_gate.worker_id) THEN
        RETURN false;
    END IF;
    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = leave_gate.id
      AND t.attempt = leave_gate.attempt
      AND t.gate = leave_gate.key
      AND contentq.is_held(t.status, t.worker_id, leave_gate.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    IF leave_gate.usage IS NOT NULL THEN
        tokens := contentq.add_usage(ARRAY[task.id]::bigint[], ARRAY[leave_gate.usage]);
    END IF;
    IF is_answered OR tokens > 0 THEN
        PERFORM contentq.count_at_gate(
            leave_gate.worker_id, task.gate, 0, is_answered::integer, CASE WHEN is_answered THEN task.gate_entered_at END,
            coalesce(tokens, 0)
        );
    END IF;
    IF is_answered THEN
        PERFORM contentq.wake_half_open(task.gate, task.gate_entered_at);
    ELSE
        PERFORM contentq.note_gate_event(
            task.gate, task.gate_entered_at, leave_gate.outcome, leave_gate.resume_at, leave_gate.message
        );
    END IF;
    UPDATE public.content_generation_tasks AS t
    SET gate = NULL,
        gate_entered_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = task.id;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.leave_gate(bigint, bigint, integer, text, text, timestamptz, text, text) IS
    'Reports the outcome of a call behind a gate that this attempt has entered (answered, refused, exhausted, unanswered), '
    'and its cost; the attempt continues. Returns whether the report counted.';
