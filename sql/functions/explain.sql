-- Explains why a task is where it is; for a waiting task, why it is not running.
-- Called by: people. Locks: nothing. Returns: one line for each reason, at least one.
-- For waiting tasks, the lines come from explain_waiting().
CREATE OR REPLACE FUNCTION contentq.explain(task_id text)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    task public.content_generation_tasks;
    held_by record;
BEGIN
    SELECT t.* INTO task FROM public.content_generation_tasks AS t WHERE t.task_id = explain.task_id;
    IF NOT FOUND THEN
        RETURN NEXT format('there is no task %s', explain.task_id);
        RETURN;
    END IF;

    IF task.status = 'processing' THEN
        SELECT w.id, w.hostname, w.pid, w.heartbeat_at < now_ - s.heartbeat_timeout AS is_silent,
               now_ - w.heartbeat_at AS silence
        INTO held_by
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        WHERE w.id = task.worker_id;
        RETURN NEXT format('it is running: attempt %s started %s ago', task.attempt,
                           date_trunc('second', now_ - task.started_at));
        IF task.worker_id IS NULL OR held_by.id IS NULL THEN
            RETURN NEXT 'no worker holds it: it was set to processing by hand, and only that session or its deadline ends it';
            RETURN NEXT 'if nobody is working on it: contentq cancel, then contentq requeue';
        ELSIF held_by.is_silent THEN
            RETURN NEXT format('its worker %s (%s, pid %s) has sent no heartbeat for %s: the task will be rescued',
                               held_by.id, held_by.hostname, held_by.pid, date_trunc('second', held_by.silence));
        ELSE
            RETURN NEXT format('worker %s (%s, pid %s) holds it', held_by.id, held_by.hostname, held_by.pid);
        END IF;
        IF task.gate IS NOT NULL THEN
            RETURN NEXT format('it entered gate %s %s ago', task.gate, date_trunc('second', now_ - task.gate_entered_at));
        END IF;
        IF task.progress IS NOT NULL OR task.progress_note IS NOT NULL THEN
            RETURN NEXT 'progress: ' || concat_ws(', ', round((task.progress * 100)::numeric) || ' %',
                                                  task.progress_note);
        END IF;
        IF task.cancel_requested_at IS NOT NULL THEN
            RETURN NEXT 'it was cancelled: its worker is stopping it';
        ELSIF task.timeout_at IS NOT NULL THEN
            RETURN NEXT format('its deadline is %s', date_trunc('second', task.timeout_at));
        END IF;
    ELSIF task.status <> 'pending' THEN
        RETURN NEXT format('it has ended: %s, %s', task.status,
                           date_trunc('second', coalesce(task.completed_at, task.updated_at)));
        IF task.status <> 'completed' THEN
            RETURN NEXT format('reason: %s', coalesce(task.error_message, 'none was given'));
            RETURN NEXT format('to requeue it: contentq requeue, or SELECT contentq.requeue(%L)', task.task_id);
        ELSIF EXISTS (SELECT
                      FROM public.contents AS c
                      WHERE c.id = task.content_id
                        AND c.account_id + 0 = task.account_id
                        AND c.review_status = 'rejected')
        THEN
            RETURN NEXT format('its content was rejected; to have it revised: contentq requeue --note, or '
                               'SELECT contentq.requeue(%L, ''what to improve'')', task.task_id);
        END IF;
    ELSE
        RETURN QUERY SELECT w.line FROM contentq.explain_waiting(task) AS w (line);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.explain(text) IS
    'Explains why a task is not running, one line for each reason, by the same conditions as claim(): not due, account '
    'paused, at its cap or over budget, no worker for its category, gate closed, all slots in use, tasks ahead of it. For '
    'a running or ended task: its state.';
