-- Returns a task to pending until a given time without charging a retry, for instance because a provider returned 429.
-- Called by: workers. Locks: the row of the task.
-- refused_by: the gate whose provider refused the call, for the next claim of that gate to evaluate: the worker's own gate,
-- or one of another worker of this login. For any other gate, the function records nothing and raises a warning. Without
-- it, the task waits for a reason of its own. nothing_left: the provider accepts no calls until resume_at.
-- resume_at: without it, contentq chooses a time: one second after the first refusal, doubled at each further refusal of
-- this task, at most a minute. The delay of refused tasks is up to a fifth longer, so that they do not return at once.
-- state: handler_state for the next attempt, an object of up to 8192 bytes; NULL keeps the current one, an empty object
-- removes it. It is removed when the task ends.
-- Returns: whether it counted; false if the worker no longer holds this attempt, or if the task was cancelled or is past
--          its deadline (it then ends).
-- Raises: 23514 (check_violation), with nothing changed, if state is not such an object.
CREATE OR REPLACE FUNCTION contentq.snooze(
    worker_id bigint,
    id bigint,
    attempt integer,
    resume_at timestamptz DEFAULT NULL,
    message text DEFAULT NULL,
    refused_by text DEFAULT NULL,
    nothing_left boolean DEFAULT false,
    state jsonb DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    began_at timestamptz;
BEGIN
    IF NOT contentq.is_own_worker(snooze.worker_id) THEN
        RETURN false;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(snooze.worker_id, ARRAY[snooze.id], ARRAY[snooze.attempt]);

    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        scheduled_at = CASE
            WHEN snooze.resume_at <= now_
            THEN NULL
            WHEN snooze.resume_at = 'infinity' OR snooze.refused_by IS NULL AND snooze.resume_at IS NOT NULL
            THEN snooze.resume_at
            WHEN snooze.resume_at IS NOT NULL
            THEN snooze.resume_at + 0.2 * random() * (snooze.resume_at - now_)
            ELSE now_ + (1 + 0.2 * random())
                        * least(interval '1 minute',
                                interval '1 second' * power(2, least(t.attempt - t.retry_count - t.revision_count - 1, 10)))
        END,
        error_message = coalesce(contentq.shorten(snooze.message, 8000), t.error_message),
        handler_state = CASE WHEN snooze.state IS NULL THEN t.handler_state ELSE nullif(snooze.state, '{}') END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = snooze.id
      AND t.attempt = snooze.attempt
      AND contentq.is_held(t.status, t.worker_id, snooze.worker_id)
    RETURNING CASE WHEN t.gate = snooze.refused_by THEN t.gate_entered_at ELSE t.started_at END INTO began_at;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF snooze.refused_by <> '*' AND EXISTS (
        SELECT
        FROM contentq.workers AS w
        WHERE (w.gate = snooze.refused_by OR snooze.refused_by = ANY (w.gates))
          AND w.login = session_user
    ) THEN
        PERFORM contentq.note_gate_event(
            snooze.refused_by, began_at, CASE WHEN snooze.nothing_left THEN 'exhausted' ELSE 'refused' END,
            snooze.resume_at, snooze.message
        );
    ELSIF snooze.refused_by IS NOT NULL THEN
        RAISE WARNING 'refusal by gate % not recorded: no worker of login % has this gate', snooze.refused_by, session_user;
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.snooze(bigint, bigint, integer, timestamptz, text, text, boolean, jsonb) IS
    'Returns a task to pending until resume_at without charging a retry; returns whether this worker still held it. '
    'refused_by: the gate whose provider refused the call. nothing_left: it accepts no calls until resume_at. Without '
    'resume_at, a refused task is tried again after a second, later each time. state: an object for the next attempt '
    '(handler_state); NULL keeps the current one.';
