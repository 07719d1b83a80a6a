-- Takes tasks back from workers that have gone silent, and removes those workers.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: rows of silent workers, then their tasks in id order, skipping those that others hold (so it never
--        waits). At most 1000 tasks a call; a worker is removed when nothing of its tasks is left.
-- Returns: how many tasks it took back.
-- Each is charged one retry, so that a task that kills its workers ends failed; it may be claimed again at
-- once. Tasks of a worker that is not registered at all are taken back too. A task set to processing by
-- hand has no worker_id and is left alone.
CREATE OR REPLACE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '10 seconds')
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dead bigint[];
    task record;
    rescued integer := 0;
    gone bigint;
BEGIN
    dead := ARRAY(
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.heartbeat_at < clock_timestamp() - rescue_dead_workers.silence
        ORDER BY w.id
        FOR UPDATE SKIP LOCKED
    );

    FOR task IN
        SELECT t.id, t.worker_id, t.attempt, t.retry_count, t.max_retries, t.cancel_requested_at,
               w.hostname, w.pid, w.heartbeat_at
        FROM public.content_generation_tasks AS t
        LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
          AND (w.id IS NULL OR w.id = ANY (dead))
        ORDER BY t.id
        LIMIT 1000
        FOR NO KEY UPDATE OF t SKIP LOCKED
    LOOP
        IF task.cancel_requested_at IS NOT NULL THEN
            UPDATE public.content_generation_tasks
            SET status = 'failed',
                error_message = 'Task cancelled',
                worker_id = NULL,
                updated_at = CURRENT_TIMESTAMP
            WHERE id = task.id;
        ELSE
            PERFORM contentq.record_failure(
                task.id,
                format('The worker that ran attempt %s died (%s); %s',
                    task.attempt,
                    CASE WHEN task.hostname IS NULL
                         THEN format('worker %s, no longer registered', task.worker_id)
                         ELSE format('worker %s, %s pid %s, silent since %s', task.worker_id, task.hostname,
                                     task.pid, date_trunc('second', task.heartbeat_at)) END,
                    CASE WHEN task.retry_count < task.max_retries
                         THEN format('this was retry %s of %s', task.retry_count + 1, task.max_retries)
                         ELSE format('no retry is left, max_retries is %s', task.max_retries) END),
                'WorkerDied',
                false,
                interval '0'
            );
        END IF;
        rescued := rescued + 1;
    END LOOP;

    FOREACH gone IN ARRAY dead LOOP
        IF NOT EXISTS (
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.worker_id = gone
              AND t.status = 'processing'
        ) THEN
            PERFORM contentq.forget_worker(gone);
        END IF;
    END LOOP;

    IF rescued > 0 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
    RETURN rescued;
END;
$$;

COMMENT ON FUNCTION contentq.rescue_dead_workers(interval) IS
    'Puts the tasks of workers that have been silent for longer than this back to pending, one retry charged '
    '(failed when none is left), and removes those workers. At most 1000 tasks a call; returns how many.';
