-- Puts a task back to pending until a given time, with no retry charged: the work was not tried in earnest,
-- for instance because a provider said 429.
-- Called by: workers. Locks: the task's row.
-- refused_by: the gate whose provider has refused the call, which the next claim of that gate considers: the worker's own,
-- or that of another worker of this login; of any other gate nothing is noted, and a warning says so. Without it the
-- task waits for a reason of its own. nothing_left: the provider said that it takes no call at all until resume_at.
-- resume_at: without it contentq chooses a time, a second after the first refusal and twice as long after each further
-- one of this task, a minute at most. Tasks that were refused come back up to a fifth of their delay later than that,
-- so that they do not come at once.
-- state: what the next attempt finds as handler_state, an object of up to 8192 bytes; NULL leaves what is there, an empty
-- object removes it. It is gone when the task ends.
-- Returns: whether it counted; false when (worker, attempt) no longer holds, or the task was cancelled or is
--          past its deadline (it is then ended).
-- Raises: 23514 (check_violation), with nothing changed, when state is no such object.
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
        RAISE WARNING 'no worker of % has gate %, which is said to have refused a call', session_user, snooze.refused_by;
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.snooze(bigint, bigint, integer, timestamptz, text, text, boolean, jsonb) IS
    'Puts a task back to pending until resume_at, no retry charged; returns whether this worker still held it. '
    'refused_by: the gate whose provider refused the call; nothing_left: it takes none until resume_at. Without '
    'resume_at a refused task comes back after a second, later each time. state: an object that the next attempt finds '
    'as handler_state; NULL leaves what is there.';
