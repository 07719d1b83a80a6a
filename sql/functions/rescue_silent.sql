-- Rescues the tasks of workers without a heartbeat since the given time, and removes those workers.
-- Called by: rescue_dead_workers() and maintain().
-- Locks: rows of dead workers, then their tasks; it skips rows that other sessions have locked, so it never waits. At most
--        1000 tasks of at most 1000 workers per call; the next call rescues the remaining tasks of removed workers.
-- Returns: how many tasks it rescued.
-- Each task is charged one retry, so that a task that kills its workers ends failed; it may be claimed again at once. No
-- retry is charged for a draining worker: it starts no more tasks, so each stop spares a task at most once. Tasks of
-- workers that are not registered are rescued too. A task set to processing by hand has no worker_id and is left alone.
-- Each rescue is stored in dead_workers and raised as a warning, which the calling worker logs. Of workers without tasks,
-- the first is named and the others are counted: a login can register many of them.
CREATE OR REPLACE FUNCTION contentq.rescue_silent(unheard_since timestamptz)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    dead bigint[];
    lost bigint[];
    lost_id bigint;
    task record;
    holder contentq.workers;
    who text;
    taken_ids bigint[];
    taken_attempts integer[];
    rescued integer := 0;
    idle integer := 0;
    gone bigint;
BEGIN
    dead := ARRAY(
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.heartbeat_at < rescue_silent.unheard_since
        ORDER BY w.id
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    );

    lost := dead || ARRAY(SELECT contentq.unregistered_holders());

    FOREACH lost_id IN ARRAY lost LOOP
        SELECT w.* INTO holder FROM contentq.workers AS w WHERE w.id = lost_id;
        who := format('worker %s, %s', lost_id,
                      CASE WHEN holder.id IS NULL THEN 'no longer registered'
                           ELSE format('%s pid %s, silent since %s', holder.hostname, holder.pid,
                                       date_trunc('second', holder.heartbeat_at)) END);
        taken_ids := '{}';
        taken_attempts := '{}';
        FOR task IN
            -- A range and an order that only that index has; = would allow any index. Not by id as well: that would read
            -- and sort all tasks of the worker.
            SELECT t.id, t.attempt, t.retry_count, t.max_retries, t.cancel_requested_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.worker_id BETWEEN lost_id AND lost_id
            ORDER BY t.worker_id
            LIMIT 1000 - rescued
            FOR NO KEY UPDATE OF t SKIP LOCKED
        LOOP
            IF task.cancel_requested_at IS NOT NULL OR holder.draining THEN
                UPDATE public.content_generation_tasks AS t
                SET status = CASE WHEN t.cancel_requested_at IS NULL THEN 'pending' ELSE 'failed' END,
                    error_message = CASE WHEN t.cancel_requested_at IS NULL THEN t.error_message
                                         ELSE 'Task cancelled' END,
                    worker_id = NULL,
                    updated_at = CURRENT_TIMESTAMP
                WHERE t.id = task.id;
            ELSE
                PERFORM contentq.record_failure(
                    task.id,
                    format('The worker that ran attempt %s died (%s); %s',
                        task.attempt,
                        who,
                        CASE WHEN task.retry_count < task.max_retries
                             THEN format('retry %s of %s follows', task.retry_count + 1, task.max_retries)
                             ELSE format('no retry is left (max_retries %s)', task.max_retries) END),
                    'WorkerDied',
                    false,
                    interval '0'
                );
            END IF;
            taken_ids := taken_ids || task.id::bigint;
            taken_attempts := taken_attempts || task.attempt;
        END LOOP;
        rescued := rescued + cardinality(taken_ids);
        -- A batch answer that a dead attempt took must be available to the next attempt, or its cost is still to be
        -- counted.
        UPDATE contentq.batch_requests AS r
        SET is_taken = false
        WHERE r.id = ANY (taken_ids)
          AND r.answered_at IS NOT NULL
          AND r.is_taken;
        IF holder.id IS NOT NULL OR cardinality(taken_ids) > 0 THEN
            INSERT INTO contentq.dead_workers
                (worker_id, hostname, pid, handler, version, started_at, heartbeat_at, draining, ids, attempts)
            VALUES
                (lost_id, holder.hostname, holder.pid, holder.handler, holder.version, holder.started_at,
                 holder.heartbeat_at, coalesce(holder.draining, false), taken_ids, taken_attempts);
            IF cardinality(taken_ids) > 0 OR idle = 0 THEN
                RAISE WARNING 'tasks rescued from a dead worker: % (%)%',
                    cardinality(taken_ids),
                    who,
                    CASE WHEN holder.draining THEN '; no retry is charged, because it was draining' ELSE '' END;
            END IF;
            idle := idle + (taken_ids = '{}')::integer;
        END IF;
    END LOOP;
    IF idle > 1 THEN
        RAISE WARNING 'other dead workers without tasks removed: %', idle - 1;
    END IF;

    -- Also if some of its tasks were locked: if the worker comes back, it must learn that it lost tasks.
    FOREACH gone IN ARRAY dead LOOP
        PERFORM contentq.forget_worker(gone);
    END LOOP;

    RETURN rescued;
END;
$$;

COMMENT ON FUNCTION contentq.rescue_silent(timestamptz) IS
    'Internal: rescues tasks of workers without a heartbeat since then; returns how many.';
