-- 0002: the machinery in schema contentq: who works, the settings, the state machine as functions, and the
-- triggers on the queue.

-- The functions call one another and stand here in the order of their names.
SET LOCAL check_function_bodies = off;

CREATE TABLE contentq.workers (
    id bigint GENERATED ALWAYS AS IDENTITY,
    hostname text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    slots integer NOT NULL,
    busy integer NOT NULL DEFAULT 0,
    handler text NOT NULL,
    gate text,
    version text,
    draining boolean NOT NULL DEFAULT false,
    CONSTRAINT workers_pkey PRIMARY KEY (id),
    CONSTRAINT workers_slots_check CHECK (slots > 0),
    CONSTRAINT workers_busy_check CHECK (busy >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE contentq.workers IS
    'The workers that are alive, one row each, updated by their heartbeats; a worker that stops or dies is removed.';
COMMENT ON COLUMN contentq.workers.id IS 'Given at registration, never used twice.';
COMMENT ON COLUMN contentq.workers.hostname IS 'The machine it runs on.';
COMMENT ON COLUMN contentq.workers.pid IS 'Its process id on that machine.';
COMMENT ON COLUMN contentq.workers.started_at IS 'When it registered.';
COMMENT ON COLUMN contentq.workers.heartbeat_at IS 'When it was last heard, by the clock of the database.';
COMMENT ON COLUMN contentq.workers.slots IS 'How many tasks it runs at once.';
COMMENT ON COLUMN contentq.workers.busy IS 'How many tasks it ran at its last heartbeat.';
COMMENT ON COLUMN contentq.workers.handler IS 'The handler that it runs.';
COMMENT ON COLUMN contentq.workers.gate IS 'Key of the gate that pauses it; NULL when it has none.';
COMMENT ON COLUMN contentq.workers.version IS 'Version of the program.';
COMMENT ON COLUMN contentq.workers.draining IS 'True when it claims no more and is about to leave.';

CREATE TABLE contentq.settings (
    only_row boolean NOT NULL DEFAULT true,
    backoff_base interval NOT NULL DEFAULT '2 seconds',
    backoff_max interval NOT NULL DEFAULT '10 minutes',
    heartbeat_timeout interval NOT NULL DEFAULT '10 seconds',
    retention interval DEFAULT '30 days',
    CONSTRAINT settings_pkey PRIMARY KEY (only_row),
    CONSTRAINT settings_only_row_check CHECK (only_row),
    CONSTRAINT settings_backoff_base_check CHECK (backoff_base > interval '0'),
    CONSTRAINT settings_backoff_cap_check CHECK (backoff_max >= backoff_base),
    CONSTRAINT settings_worker_silence_check CHECK (heartbeat_timeout >= interval '5 seconds'),
    CONSTRAINT settings_retention_check CHECK (retention > interval '0')
);

INSERT INTO contentq.settings DEFAULT VALUES;

COMMENT ON TABLE contentq.settings IS 'The settings of the queue: one row, changed with UPDATE, in force at once.';
COMMENT ON COLUMN contentq.settings.only_row IS 'Always true: keeps the table at one row.';
COMMENT ON COLUMN contentq.settings.backoff_base IS 'Longest delay before the first retry; doubled at each further one.';
COMMENT ON COLUMN contentq.settings.backoff_max IS 'Longest delay before any retry.';
COMMENT ON COLUMN contentq.settings.heartbeat_timeout IS
    'How long a worker may be silent before its tasks are rescued; at least 5 seconds, since it beats every 2.';
COMMENT ON COLUMN contentq.settings.retention IS
    'Age at which workers delete completed tasks (their content stays); NULL keeps them for ever.';

CREATE TABLE contentq.maintenance (
    only_row boolean NOT NULL DEFAULT true,
    ran_at timestamptz NOT NULL DEFAULT '-infinity',
    watched_since timestamptz NOT NULL DEFAULT '-infinity',
    cleaned_at timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT maintenance_pkey PRIMARY KEY (only_row),
    CONSTRAINT maintenance_only_row_check CHECK (only_row)
) WITH (fillfactor = 50);

INSERT INTO contentq.maintenance DEFAULT VALUES;

COMMENT ON TABLE contentq.maintenance IS 'When the housekeeping of maintain() was done last: one row.';
COMMENT ON COLUMN contentq.maintenance.only_row IS 'Always true: keeps the table at one row.';
COMMENT ON COLUMN contentq.maintenance.ran_at IS 'The last call of maintain() that did something.';
COMMENT ON COLUMN contentq.maintenance.watched_since IS
    'Since when such calls have come without a gap; a worker''s silence counts only within that time.';
COMMENT ON COLUMN contentq.maintenance.cleaned_at IS 'When the clean-up last found nothing more to delete.';

-- Draws the delay before a retry: exponential with full jitter and a cap.
-- Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: random between 0 and
--         min(cap, base * 2^n); the spread keeps tasks that failed together from coming back together.
-- Called by: record_failure(). Locks: nothing. Returns: the delay.
CREATE OR REPLACE FUNCTION contentq.backoff(retry_count integer)
RETURNS interval
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT random() * least(s.backoff_max, s.backoff_base * power(2, least(backoff.retry_count, 30)))
    FROM contentq.settings AS s;
$$;

COMMENT ON FUNCTION contentq.backoff(integer) IS
    'A random delay before the retry after retry_count earlier ones: up to settings.backoff_base doubled each '
    'time, at most settings.backoff_max.';

-- Cancels a task: one that waits ends at once; one that runs is asked to stop and can only end failed.
-- Called by: operators. Locks: the task's row.
-- Returns: the new status: failed, or processing while its worker is stopping it (2 seconds at most if it is
--          alive); NULL when there is no such task or it has ended already.
CREATE OR REPLACE FUNCTION contentq.cancel(task_id text)
RETURNS text
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'failed' ELSE t.status END,
        error_message = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'Task cancelled'
                             ELSE t.error_message END,
        cancel_requested_at = coalesce(t.cancel_requested_at, clock_timestamp()),
        scheduled_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.task_id = cancel.task_id
      AND t.status IN ('pending', 'processing')
    RETURNING t.status;
$$;

COMMENT ON FUNCTION contentq.cancel(text) IS
    'Cancels a task: failed at once when it waits (Task cancelled); asked to stop when a worker runs it. Returns '
    'the new status, NULL when there is no such task or it has ended.';

-- Chooses and locks up to max_tasks ready tasks, most urgent first: priority DESC, submitted_at, id.
-- Called by: claim().
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, in order. A task that a producer has given the highest attempt there is, is never chosen.
--
-- Tasks that were claimed leave dead entries at the head of the ready index. Usually the next scan marks them and
-- no other walks them again. While some session holds an old snapshot (a report, a dump, a forgotten BEGIN) they
-- cannot be marked, and each claim would walk all of them. When a scan has taken long, the session therefore
-- remembers how far it has come in each priority (in the setting contentq.ready_heads, for twenty times as long as
-- the scan took, 5 seconds at most) and begins there. Tasks that become ready behind that place meanwhile, such as
-- retries, are found by the next whole scan; more urgent ones and new ones are found at once.
CREATE OR REPLACE FUNCTION contentq.choose_ready(max_tasks integer, categories text[])
RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    began constant timestamptz := clock_timestamp();
    long constant interval := interval '3 milliseconds' + choose_ready.max_tasks * interval '20 microseconds';
    memory jsonb := nullif(current_setting('contentq.ready_heads', true), '')::jsonb;
    heads jsonb := '{}';
    head record;
    chosen integer[] := '{}';
    took interval;
BEGIN
    IF memory IS NOT NULL
        -- Not after the clock was set back, either.
        AND (memory->>'until')::timestamptz BETWEEN began AND began + interval '5 seconds'
        AND (memory->'categories') IS NOT DISTINCT FROM coalesce(to_jsonb(choose_ready.categories), 'null')
    THEN
        heads := memory->'heads';
        FOR urgency IN REVERSE 10..1 LOOP
            SELECT coalesce((heads->urgency::text->>0)::timestamptz, '-infinity') AS submitted_at,
                   coalesce((heads->urgency::text->>1)::integer, 0) AS id
            INTO head;
            chosen := chosen || ARRAY(
                SELECT t.id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority = urgency
                  AND (t.submitted_at, t.id) > (head.submitted_at, head.id)
                  AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
                  AND t.attempt < 2147483647
                  AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_ready.max_tasks - cardinality(chosen)
                FOR UPDATE SKIP LOCKED
            );
            EXIT WHEN cardinality(chosen) >= choose_ready.max_tasks;
        END LOOP;
    ELSE
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
              AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT choose_ready.max_tasks
            FOR UPDATE SKIP LOCKED
        );
        took := clock_timestamp() - began;
        IF took < long THEN
            IF memory IS NOT NULL THEN
                PERFORM set_config('contentq.ready_heads', '', false);
            END IF;
            RETURN chosen;
        END IF;
        memory := jsonb_build_object(
            'until', began + least(20 * took, interval '5 seconds'),
            'categories', choose_ready.categories
        );
        -- The scan has seen all that is more urgent than the last task it chose, and everything if it chose few.
        SELECT jsonb_object_agg(p.priority, jsonb_build_array(began - interval '1 second', 0))
        INTO heads
        FROM generate_series(1, 10) AS p (priority)
        WHERE cardinality(chosen) < choose_ready.max_tasks
           OR p.priority > (SELECT t.priority
                            FROM public.content_generation_tasks AS t
                            WHERE t.id = chosen[cardinality(chosen)]);
    END IF;

    -- Not into the last second, whose tasks may not have been committed yet.
    SELECT coalesce(heads, '{}') || coalesce(jsonb_object_agg(l.priority, l.place), '{}')
    INTO heads
    FROM (
        SELECT DISTINCT ON (t.priority) t.priority,
               CASE WHEN t.submitted_at < began - interval '1 second'
                    THEN jsonb_build_array(t.submitted_at, t.id)
                    ELSE jsonb_build_array(began - interval '1 second', 0) END AS place
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (chosen)
        ORDER BY t.priority, t.submitted_at DESC, t.id DESC
    ) AS l;
    PERFORM set_config('contentq.ready_heads', (memory || jsonb_build_object('heads', heads))::text, false);
    RETURN chosen;
END;
$$;

COMMENT ON FUNCTION contentq.choose_ready(integer, text[]) IS
    'Internal: chooses and locks the tasks that claim() takes; returns their ids in order.';

-- Hands up to max_tasks ready tasks to a worker, most urgent first: priority DESC, submitted_at, id.
-- Called by: workers.
-- Locks: the tasks that it takes, skipping those that others are taking (so it never waits).
-- Returns: the claimed tasks, in order, as they are now: processing, attempt one higher.
-- Raises: CQ001 when the worker is not registered (any more).
--
-- The rows are chosen into an array first and updated by that array: no plan can make LIMIT be evaluated
-- twice and return more than was asked for. The settings leave the planner one way to find them, the ready
-- index in its own order (and the primary key), also in a session whose plan was made while the table was empty.
CREATE OR REPLACE FUNCTION contentq.claim(
    worker_id bigint,
    max_tasks integer,
    categories text[] DEFAULT NULL
)
RETURNS SETOF public.content_generation_tasks
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    chosen integer[];
BEGIN
    IF NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = claim.worker_id) THEN
        PERFORM contentq.raise_not_registered(claim.worker_id);
    END IF;
    IF claim.max_tasks IS NULL OR claim.max_tasks < 1 THEN
        RETURN;
    END IF;

    IF contentq.promote_scheduled() > claim.max_tasks THEN
        PERFORM contentq.notify_ready();
    END IF;

    chosen := contentq.choose_ready(claim.max_tasks, claim.categories);
    IF cardinality(chosen) = 0 THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH claimed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'processing',
            started_at = clock_timestamp(),
            attempt = t.attempt + 1,
            worker_id = claim.worker_id,
            completed_at = NULL,
            cancel_requested_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (chosen)
        RETURNING t.*
    )
    SELECT c.*
    FROM claimed AS c
    ORDER BY c.priority DESC, c.submitted_at, c.id;
END;
$$;

COMMENT ON FUNCTION contentq.claim(bigint, integer, text[]) IS
    'Claims at most max_tasks ready tasks (of these categories, when given) for a worker, in the order '
    'priority DESC, submitted_at, id. The attempt of each row is the fencing token to report with. '
    'Raises CQ001 when the worker is not registered.';

-- Deletes completed tasks that are old; their content stays.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of completed_at, skipping those that others hold (so it never waits).
-- Returns: how many it deleted.
CREATE OR REPLACE FUNCTION contentq.cleanup(older_than interval DEFAULT '30 days', max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
    now_ constant timestamptz := clock_timestamp();
    old integer[];
BEGIN
    old := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'completed'
          AND t.completed_at < now_ - cleanup.older_than
        ORDER BY t.completed_at
        LIMIT cleanup.max_rows
        FOR UPDATE SKIP LOCKED
    );
    DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    RETURN cardinality(old);
END;
$$;

COMMENT ON FUNCTION contentq.cleanup(interval, integer) IS
    'Deletes up to max_rows completed tasks that ended longer ago than older_than; returns how many.';

-- Completes tasks that a worker holds: many in one call.
-- Called by: workers, when handlers ended well.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- A task whose (worker, attempt) no longer holds is left alone. One that was cancelled meanwhile ends
-- failed, one past its deadline ends timeout; neither counts.
-- Content that content_ids names is approved when the task has auto_approve.
-- Raises: 22P02, 22P05 or 54001, with nothing changed, when a result is not JSON that jsonb can hold.
-- The || '' and + 0 leave the planner no index but the primary key. By its statistics another one may look as
-- good, and then every report of a worker would read all the tasks that it holds.
CREATE OR REPLACE FUNCTION contentq.complete(
    worker_id bigint,
    ids integer[],
    attempts integer[],
    results text[] DEFAULT NULL,
    content_ids integer[] DEFAULT NULL
)
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    completed integer[];
BEGIN
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt, r.result, r.content_id
        FROM unnest(complete.ids, complete.attempts, complete.results, complete.content_ids)
            AS r (id, attempt, result, content_id)
        ORDER BY r.id
    ),
    counted AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'completed',
            completed_at = clock_timestamp(),
            result = r.result::json,
            content_id = coalesce(r.content_id, t.content_id),
            error_message = NULL,
            worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM reported AS r
        WHERE t.id = r.id
          AND t.attempt = r.attempt
          AND t.status || '' = 'processing'
          AND t.worker_id + 0 = complete.worker_id
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        RETURNING t.id
    )
    SELECT coalesce(array_agg(c.id), '{}') INTO completed FROM counted AS c;

    IF cardinality(completed) < cardinality(complete.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(complete.worker_id, complete.ids, complete.attempts);
    END IF;

    IF complete.content_ids IS NOT NULL THEN
        UPDATE public.contents AS c
        SET review_status = 'approved'
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (completed)
          AND t.auto_approve
          AND c.id = t.content_id
          AND c.id = ANY (complete.content_ids)
          AND c.review_status = 'pending';
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

COMMENT ON FUNCTION contentq.complete(bigint, integer[], integer[], text[], integer[]) IS
    'Completes the tasks (ids with their attempts) that this worker still holds; results are JSON as text, '
    'content_ids the content they produced. Returns the ids that counted; the others were taken over, '
    'cancelled or past their deadline.';

-- Removes a worker that stops, and releases whatever it still holds (nothing charged).
-- Called by: a worker at the end of a graceful stop.
-- Locks: its tasks in id order, then its row. Returns: the ids of the released tasks.
CREATE OR REPLACE FUNCTION contentq.deregister_worker(worker_id bigint)
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
BEGIN
    RETURN QUERY SELECT contentq.reconcile(deregister_worker.worker_id, '{}', '{}');

    PERFORM contentq.forget_worker(deregister_worker.worker_id);
END;
$$;

COMMENT ON FUNCTION contentq.deregister_worker(bigint) IS
    'Removes a worker and releases the tasks that it still holds, nothing charged; returns their ids.';

-- Marks a worker as draining: it claims no more and is about to leave.
-- Called by: a worker at the start of a graceful stop.
-- Locks: the worker's row. Returns: nothing; an unknown worker is not an error, since it is leaving anyway.
CREATE OR REPLACE FUNCTION contentq.drain_worker(worker_id bigint)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    UPDATE contentq.workers SET draining = true WHERE id = drain_worker.worker_id;
$$;

COMMENT ON FUNCTION contentq.drain_worker(bigint) IS
    'Marks a worker as draining: it claims no more; what it runs may still end.';

-- Ends the tasks among these that were overtaken: cancelled while running (failed) or past their deadline
-- (timeout). Whatever their handler reports no longer counts.
-- Called by: complete(), store(), fail(), snooze() and release(), for tasks of the worker that reports.
-- Locks: all of these tasks that the worker holds, ended or not, in id order. Returns: the ids that it ended.
-- For the || '' and + 0 see complete().
CREATE OR REPLACE FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- The lock comes first, in a statement of its own: a cancel that is about to commit is waited for here, and
    -- the statements after this one see it.
    PERFORM t.id
    FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
    JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
    WHERE t.status || '' = 'processing'
      AND t.worker_id + 0 = end_cancelled_or_overdue.worker_id
    ORDER BY t.id
    FOR NO KEY UPDATE OF t;

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'failed' ELSE 'timeout' END,
        error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                             ELSE 'Task execution timeout' END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = r.id
      AND t.attempt = r.attempt
      AND t.status || '' = 'processing'
      AND t.worker_id + 0 = end_cancelled_or_overdue.worker_id
      AND (t.cancel_requested_at IS NOT NULL OR t.timeout_at <= clock_timestamp())
    RETURNING t.id;
END;
$$;

COMMENT ON FUNCTION contentq.end_cancelled_or_overdue(bigint, integer[], integer[]) IS
    'Internal: ends those of a worker''s tasks that were cancelled or whose deadline has passed; returns their ids.';

-- Reports that an attempt failed.
-- Called by: workers, when a handler raised an error.
-- Locks: the task's row. Returns: the new status: pending (a retry is charged), failed, or timeout when its
--        deadline has passed; NULL when refused, because (worker, attempt) no longer holds.
-- The retry waits for retry_after when given, else for a random backoff. permanent: no retry.
-- For the || '' and + 0 see complete().
CREATE OR REPLACE FUNCTION contentq.fail(
    worker_id bigint,
    id integer,
    attempt integer,
    message text,
    permanent boolean DEFAULT false,
    retry_after interval DEFAULT NULL,
    error_class text DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
BEGIN
    IF EXISTS (SELECT contentq.end_cancelled_or_overdue(fail.worker_id, ARRAY[fail.id], ARRAY[fail.attempt])) THEN
        RETURN (SELECT t.status FROM public.content_generation_tasks AS t WHERE t.id = fail.id);
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = fail.id
      AND t.attempt = fail.attempt
      AND t.status || '' = 'processing'
      AND t.worker_id + 0 = fail.worker_id
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    RETURN contentq.record_failure(
        task.id, fail.message, fail.error_class, coalesce(fail.permanent, false),
        coalesce(fail.retry_after, contentq.backoff(task.retry_count))
    );
END;
$$;

COMMENT ON FUNCTION contentq.fail(bigint, integer, integer, text, boolean, interval, text) IS
    'Reports a failed attempt: back to pending with one retry charged (after retry_after, or a random backoff), '
    'or failed when permanent or when no retry is left. Returns the new status, NULL when the task is no longer '
    'held by this worker in this attempt.';

-- Removes a worker's row, and its mark on tasks that were taken from it: there is no one left to tell.
-- Called by: deregister_worker() and rescue_dead_workers(), after its running tasks were dealt with.
-- Locks: those tasks in id order, skipping what others hold (the mark is then only a leftover number),
--        and the worker's row. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.forget_worker(worker_id bigint)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE public.content_generation_tasks AS t
    SET worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id IN (
        SELECT r.id
        FROM public.content_generation_tasks AS r
        WHERE r.worker_id = forget_worker.worker_id
          AND r.status <> 'processing'
        ORDER BY r.id
        FOR UPDATE SKIP LOCKED
    );

    DELETE FROM contentq.workers WHERE id = forget_worker.worker_id;
$$;

COMMENT ON FUNCTION contentq.forget_worker(bigint) IS
    'Internal: removes the row of a worker that holds nothing any more.';

-- Keeps a worker alive and tells it which tasks to stop.
-- Called by: every worker, every 2 seconds.
-- Locks: its own row; rows of tasks to be told about in id order, skipping those that others hold, so
--        that nobody's open transaction can make a live worker look dead.
-- Returns: (id, attempt) of tasks that it should stop: cancelled ones, at every call until they end; and
--          ones no longer its own (swept, or changed by hand), once.
-- Raises: CQ001 when the worker is not registered (any more).
CREATE OR REPLACE FUNCTION contentq.heartbeat(worker_id bigint, busy integer DEFAULT NULL)
RETURNS TABLE (id integer, attempt integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
BEGIN
    UPDATE contentq.workers AS w
    SET heartbeat_at = clock_timestamp(),
        busy = coalesce(heartbeat.busy, w.busy)
    WHERE w.id = heartbeat.worker_id;
    IF NOT FOUND THEN
        PERFORM contentq.raise_not_registered(heartbeat.worker_id);
    END IF;

    RETURN QUERY
    WITH revoked AS MATERIALIZED (
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id = heartbeat.worker_id
          AND t.status <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    ),
    told AS (
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM revoked AS r
        WHERE t.id = r.id
        RETURNING t.id, t.attempt
    )
    SELECT d.id, d.attempt
    FROM told AS d
    UNION ALL
    SELECT t.id, t.attempt
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = heartbeat.worker_id
      AND t.status = 'processing'
      AND t.cancel_requested_at IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.heartbeat(bigint, integer) IS
    'Keeps a worker alive (10 seconds of silence and its tasks are rescued) and returns (id, attempt) of the '
    'tasks that it should stop: cancelled, or no longer its own. busy: tasks that it is running. '
    'Raises CQ001 when it is not registered.';

-- Does what is due of the housekeeping: deadlines, dead workers, scheduled tasks, old tasks.
-- Called by: every worker, when the time that it returned last has passed; whoever gets there first does it.
-- Locks: an advisory lock of the transaction, so that the others do not wait; then as the functions it calls.
-- Returns: the time after which it wants to be called again: until the next deadline or the next possible
--          death that it knows of, at most 4 seconds.
-- Raises nothing of what a step raises: it becomes a warning, and the other steps are done all the same.
--
-- Silence is evidence of death only while workers could reach the database at all. maintenance.watched_since
-- is the start of the unbroken time of such calls: after a restart, a failover or a network cut it begins
-- anew, and no worker is given up before it has had its full time to be heard again. Silence is judged as of the
-- moment of that decision: should this very call be held up, the workers are held up with it.
CREATE OR REPLACE FUNCTION contentq.maintain()
RETURNS interval
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    longest_wait constant interval := '4 seconds';
    batch constant integer := 1000;
    now_ constant timestamptz := clock_timestamp();
    settings contentq.settings;
    watch contentq.maintenance;
    step text;
    done integer;
    more boolean := false;
    next_event timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('contentq.maintain', 0)) THEN
        RETURN longest_wait;
    END IF;
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;

    UPDATE contentq.maintenance AS m
    SET ran_at = now_,
        watched_since = CASE WHEN m.ran_at < now_ - greatest(settings.heartbeat_timeout * 0.6, longest_wait * 1.25)
                             THEN now_ ELSE m.watched_since END
    RETURNING m.* INTO STRICT watch;

    FOREACH step IN ARRAY ARRAY['sweep', 'promote', 'rescue', 'clean up'] LOOP
        BEGIN
            done := 0;
            IF step = 'sweep' THEN
                done := contentq.sweep_timeouts(batch);
            ELSIF step = 'promote' THEN
                done := contentq.promote_scheduled(batch);
                IF done > 0 THEN
                    PERFORM contentq.notify_ready();
                END IF;
            ELSIF step = 'rescue' THEN
                IF watch.watched_since <= now_ - settings.heartbeat_timeout THEN
                    done := contentq.rescue_silent(now_ - settings.heartbeat_timeout);
                END IF;
            ELSIF settings.retention IS NOT NULL AND watch.cleaned_at < now_ - interval '1 minute' THEN
                done := contentq.cleanup(settings.retention, batch);
                IF done < batch THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
            END IF;
            more := more OR done >= batch;
        EXCEPTION
            WHEN OTHERS THEN
                RAISE WARNING 'contentq.maintain() could not %: %', step, SQLERRM
                    USING ERRCODE = SQLSTATE;
                IF step = 'clean up' THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
        END;
    END LOOP;
    IF more THEN
        RETURN interval '0';
    END IF;

    -- A live worker stops its handlers at their deadlines itself; this comes a moment later.
    next_event := least(
        clock_timestamp() + longest_wait,
        (SELECT min(t.timeout_at) + interval '250 milliseconds'
         FROM public.content_generation_tasks AS t
         WHERE t.status IN ('pending', 'processing')
           AND t.timeout_at IS NOT NULL
           AND t.timeout_at < now_ + longest_wait),
        (SELECT greatest(min(w.heartbeat_at), watch.watched_since) + settings.heartbeat_timeout
         FROM contentq.workers AS w)
    );
    next_event := greatest(next_event, clock_timestamp());
    RETURN least(longest_wait, greatest(next_event - clock_timestamp() + interval '10 milliseconds',
                                        interval '100 milliseconds'));
END;
$$;

COMMENT ON FUNCTION contentq.maintain() IS
    'Housekeeping, by whichever worker calls first: sweeps deadlines, rescues dead workers'' tasks, makes '
    'scheduled tasks ready, deletes what is older than settings.retention. Returns how long to wait before the next call.';

-- Says how long until there may be something more to claim, so that an idle worker sleeps exactly that long: until a
-- scheduled task becomes ready, or until choose_ready() of this session should look at everything again.
-- Called by: workers, when a claim found nothing more.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_claim_in()
RETURNS interval
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(
        least(
            (SELECT t.scheduled_at
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NOT NULL
               AND t.scheduled_at < 'infinity'
             ORDER BY t.scheduled_at
             LIMIT 1),
            (nullif(current_setting('contentq.ready_heads', true), '')::jsonb->>'until')::timestamptz
        ) - clock_timestamp(),
        interval '0')
    WHERE EXISTS (SELECT
                  FROM public.content_generation_tasks AS t
                  WHERE t.status = 'pending' AND t.scheduled_at IS NOT NULL AND t.scheduled_at < 'infinity')
       OR current_setting('contentq.ready_heads', true) <> '';
$$;

COMMENT ON FUNCTION contentq.next_claim_in() IS
    'Time until the next scheduled task becomes ready, or until this session should look at all tasks again; NULL '
    'when there is no such time.';

-- Wakes idle workers: there may be something to claim.
-- Called by: functions that put tasks back.
-- Locks: nothing. Returns: nothing.
-- When the queue of notifications is half full, because some session listens and never reads, no one is woken:
-- a full one would refuse the whole transaction. Workers also look by themselves.
CREATE OR REPLACE FUNCTION contentq.notify_ready()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.notify_ready() IS
    'Internal: notifies channel contentq_ready, without a payload, unless the queue of notifications is filling up.';

-- Makes tasks ready whose scheduled time has come, by setting scheduled_at to NULL.
-- Called by: claim() before it looks, and maintain(). Claims then read one index in one order, and a million
--            tasks scheduled for tomorrow cost them nothing.
-- Locks: the due tasks, in order of their time, skipping those that others hold (so it never waits).
-- Returns: how many became ready.
CREATE OR REPLACE FUNCTION contentq.promote_scheduled(max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
    now_ constant timestamptz := clock_timestamp();
    due integer[];
BEGIN
    due := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at
        LIMIT promote_scheduled.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(due) > 0 THEN
        UPDATE public.content_generation_tasks
        SET scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE id = ANY (due);
    END IF;
    RETURN cardinality(due);
END;
$$;

COMMENT ON FUNCTION contentq.promote_scheduled(integer) IS
    'Makes ready up to max_rows tasks whose scheduled_at has passed; returns how many.';

-- Raises the error that tells a worker that it was given up.
-- Called by: heartbeat() and claim(). Locks: nothing. Returns: never.
CREATE OR REPLACE FUNCTION contentq.raise_not_registered(worker_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'worker % is not registered', raise_not_registered.worker_id
        USING ERRCODE = 'CQ001',
              DETAIL = 'It never was, it has left, or it was silent for so long that its tasks were rescued.',
              HINT = 'Stop the handlers that it runs (their outcomes no longer count) and call '
                     'contentq.register_worker() for a new id.';
END;
$$;

COMMENT ON FUNCTION contentq.raise_not_registered(bigint) IS 'Internal: raises CQ001 for this worker.';

-- Releases every task that the database thinks a worker holds and that the worker does not know: the answer
-- to its claim was lost on the way. Without this, such a task would wait for as long as the worker lives.
-- Called by: workers, between two claims; and deregister_worker().
-- Locks: those tasks, in id order. Returns: the ids that went back to pending.
CREATE OR REPLACE FUNCTION contentq.reconcile(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT contentq.release(reconcile.worker_id, array_agg(t.id), array_agg(t.attempt))
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = reconcile.worker_id
      AND t.status = 'processing'
      AND (t.id, t.attempt) NOT IN (SELECT r.id, r.attempt
                                    FROM unnest(reconcile.ids, reconcile.attempts) AS r (id, attempt)
                                    WHERE r.id IS NOT NULL AND r.attempt IS NOT NULL)
    HAVING count(*) > 0;
$$;

COMMENT ON FUNCTION contentq.reconcile(bigint, integer[], integer[]) IS
    'Releases the tasks recorded as held by this worker that are not among the attempts that it knows of (ids with '
    'their attempts); returns their ids. To be called while no claim of the worker is under way.';

-- Applies the retry rules to one failed attempt: back to pending with one retry charged, or failed.
-- Called by: fail() and rescue_dead_workers(), which hold the lock on the task's row.
-- Locks: the task's row. Returns: the new status.
-- Source of the rule: max_attempts = max_retries + 1, so a retry is left while retry_count < max_retries.
CREATE OR REPLACE FUNCTION contentq.record_failure(
    id integer,
    message text,
    error_class text,
    permanent boolean,
    delay interval
)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(record_failure.message, ''), 'no message was given');
    kept_message constant text := contentq.shorten(full_message, 8000);
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN NOT record_failure.permanent AND t.retry_count < t.max_retries
                      THEN 'pending' ELSE 'failed' END,
        retry_count = CASE WHEN NOT record_failure.permanent AND t.retry_count < t.max_retries
                           THEN t.retry_count + 1 ELSE t.retry_count END,
        scheduled_at = CASE WHEN NOT record_failure.permanent AND t.retry_count < t.max_retries
                                 AND record_failure.delay > interval '0'
                            THEN clock_timestamp() + record_failure.delay END,
        error_message = kept_message,
        attempt_errors = CASE WHEN jsonb_array_length(t.attempt_errors) >= 20
                              THEN t.attempt_errors - 0 ELSE t.attempt_errors END
            || jsonb_build_object(
                'attempt', t.attempt,
                'at', clock_timestamp(),
                'worker_id', t.worker_id,
                'error_class', record_failure.error_class,
                'message', contentq.shorten(full_message, 1000)
            ),
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = record_failure.id
    RETURNING t.status INTO new_status;
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.record_failure(integer, text, text, boolean, interval) IS
    'Internal: applies the retry rules to a failed attempt whose row the caller has locked; returns the new status.';

-- Adds a worker and gives it the identifier that it claims with.
-- Called by: a worker, when it starts and when it was told that it is no longer registered.
-- Locks: nothing that exists. Returns: the worker's id, never used twice.
CREATE OR REPLACE FUNCTION contentq.register_worker(
    hostname text,
    pid integer,
    slots integer,
    handler text,
    gate text DEFAULT NULL,
    version text DEFAULT NULL
)
RETURNS bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    INSERT INTO contentq.workers (hostname, pid, slots, handler, gate, version)
    VALUES (
        register_worker.hostname,
        register_worker.pid,
        register_worker.slots,
        register_worker.handler,
        register_worker.gate,
        register_worker.version
    )
    RETURNING id;
$$;

COMMENT ON FUNCTION contentq.register_worker(text, integer, integer, text, text, text) IS
    'Registers a worker with its number of slots; returns its id. It must call heartbeat() every 2 seconds.';

-- Gives tasks back unfinished: pending at once, nothing charged.
-- Called by: workers, at a graceful stop.
-- Locks: the tasks, in id order. Returns: the ids that went back to pending.
-- A task whose (worker, attempt) no longer holds is left alone. One that was cancelled meanwhile ends
-- failed, one past its deadline ends timeout.
-- For the || '' and + 0 see complete().
CREATE OR REPLACE FUNCTION contentq.release(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM contentq.end_cancelled_or_overdue(release.worker_id, release.ids, release.attempts);

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(release.ids, release.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = r.id
      AND t.attempt = r.attempt
      AND t.status || '' = 'processing'
      AND t.worker_id + 0 = release.worker_id
    RETURNING t.id;

    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.release(bigint, integer[], integer[]) IS
    'Puts tasks that this worker holds back to pending, nothing charged; returns the ids that went back.';

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

-- Takes tasks back from workers that have gone silent, and removes those workers.
-- Called by: cron and operators; safe from several places at once.
-- Locks: as rescue_silent(); it never waits for a task. At most 1000 tasks a call.
-- Returns: how many tasks it took back.
CREATE OR REPLACE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '10 seconds')
RETURNS integer
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT contentq.rescue_silent(clock_timestamp() - rescue_dead_workers.silence);
$$;

COMMENT ON FUNCTION contentq.rescue_dead_workers(interval) IS
    'Puts the tasks of workers that have been silent for longer than this back to pending, one retry charged '
    '(failed when none is left), and removes those workers. At most 1000 tasks a call; returns how many.';

-- Takes tasks back from workers that have not been heard since a moment, and removes those workers.
-- Called by: rescue_dead_workers() and maintain().
-- Locks: rows of silent workers, then their tasks in id order, skipping those that others hold (so it never
--        waits). At most 1000 tasks a call; what is left of a removed worker's tasks is nobody's, for the next.
-- Returns: how many tasks it took back.
-- Each is charged one retry, so that a task that kills its workers ends failed; it may be claimed again at
-- once. Tasks of a worker that is not registered at all are taken back too. A task set to processing by
-- hand has no worker_id and is left alone.
CREATE OR REPLACE FUNCTION contentq.rescue_silent(unheard_since timestamptz)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    dead bigint[];
    task record;
    holder contentq.workers;
    rescued integer := 0;
    gone bigint;
BEGIN
    dead := ARRAY(
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.heartbeat_at < rescue_silent.unheard_since
        ORDER BY w.id
        FOR UPDATE SKIP LOCKED
    );

    FOR task IN
        SELECT t.id, t.worker_id, t.attempt, t.retry_count, t.max_retries, t.cancel_requested_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
          AND (t.worker_id = ANY (dead)
               OR NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = t.worker_id))
        ORDER BY t.id
        LIMIT 1000
        FOR NO KEY UPDATE OF t SKIP LOCKED
    LOOP
        SELECT w.* INTO holder FROM contentq.workers AS w WHERE w.id = task.worker_id;
        -- Between the look and the lock someone else may have put the task back, and a live worker claimed it.
        CONTINUE WHEN holder.id IS NOT NULL AND holder.id <> ALL (dead);

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
                    CASE WHEN holder.id IS NULL
                         THEN format('worker %s, no longer registered', task.worker_id)
                         ELSE format('worker %s, %s pid %s, silent since %s', holder.id, holder.hostname,
                                     holder.pid, date_trunc('second', holder.heartbeat_at)) END,
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

    -- Also when some of its tasks could not be had now: should it come back, it must learn that it has lost tasks.
    FOREACH gone IN ARRAY dead LOOP
        PERFORM contentq.forget_worker(gone);
    END LOOP;

    IF rescued > 0 THEN
        PERFORM contentq.notify_ready();
    END IF;
    RETURN rescued;
END;
$$;

COMMENT ON FUNCTION contentq.rescue_silent(timestamptz) IS
    'Internal: takes tasks back from workers that were not heard since then; returns how many.';

-- Cuts a message to a length and says so, so that no error fills the table.
-- Called by: record_failure() and snooze(). Locks: nothing.
-- Returns: the message, or its beginning with a note; NULL for NULL.
CREATE OR REPLACE FUNCTION contentq.shorten(message text, max_characters integer)
RETURNS text
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN length(shorten.message) > shorten.max_characters
            THEN format('%s … (cut: %s characters in all)',
                        left(shorten.message, shorten.max_characters), length(shorten.message))
        ELSE shorten.message
    END;
$$;

COMMENT ON FUNCTION contentq.shorten(text, integer) IS
    'Internal: the message, cut to max_characters with a note when it is longer.';

-- Puts a task back to pending until a given time, with no retry charged: the work was not tried in earnest,
-- for instance because a provider said 429.
-- Called by: workers. Locks: the task's row.
-- Returns: whether it counted; false when (worker, attempt) no longer holds, or the task was cancelled or is
--          past its deadline (it is then ended).
-- For the || '' and + 0 see complete().
CREATE OR REPLACE FUNCTION contentq.snooze(
    worker_id bigint,
    id integer,
    attempt integer,
    opens_at timestamptz,
    message text DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
BEGIN
    PERFORM contentq.end_cancelled_or_overdue(snooze.worker_id, ARRAY[snooze.id], ARRAY[snooze.attempt]);

    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        scheduled_at = CASE WHEN snooze.opens_at > clock_timestamp() THEN snooze.opens_at END,
        error_message = coalesce(contentq.shorten(snooze.message, 8000), t.error_message),
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = snooze.id
      AND t.attempt = snooze.attempt
      AND t.status || '' = 'processing'
      AND t.worker_id + 0 = snooze.worker_id;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION contentq.snooze(bigint, integer, integer, timestamptz, text) IS
    'Puts a task back to pending until opens_at, no retry charged; returns whether this worker still held it.';

-- Stores the content of tasks that a worker holds and completes them, as one statement: there is never
-- content without its completed task, nor the reverse.
-- Called by: workers, for handlers that return content.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- The result of each task is {"success": true, "content_id": …, "word_count": …} followed by the members of
-- the JSON object in extras, when there is one. Content is approved when the task has auto_approve.
-- A task whose (worker, attempt) no longer holds is left alone and gets no content; one that was cancelled
-- meanwhile ends failed, one past its deadline ends timeout; neither counts.
-- Raises: 22P02, 22P05 or 54001, with nothing changed, when a member of extras is not a JSON object.
-- For the || '' and + 0 see complete().
CREATE OR REPLACE FUNCTION contentq.store(
    worker_id bigint,
    ids integer[],
    attempts integer[],
    titles text[],
    bodies text[],
    word_counts integer[],
    extras text[] DEFAULT NULL
)
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    piece record;
    new_content_id integer;
    held_ids integer[] := '{}';
    results text[] := '{}';
    content_ids integer[] := '{}';
BEGIN
    IF EXISTS (SELECT FROM unnest(store.extras) AS e (extra) WHERE json_typeof(e.extra::json) <> 'object') THEN
        RAISE EXCEPTION 'extras must be JSON objects'
            USING ERRCODE = 'invalid_text_representation';
    END IF;

    FOR piece IN
        SELECT t.id, t.account_id, t.auto_approve, r.title, r.body, r.word_count,
               nullif(btrim(substr(btrim(r.extra, E' \n\r\t'), 2), E' \n\r\t'), '}') AS members
        FROM unnest(store.ids, store.attempts, store.titles, store.bodies, store.word_counts, store.extras)
            AS r (id, attempt, title, body, word_count, extra)
        JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
        WHERE t.status || '' = 'processing'
          AND t.worker_id + 0 = store.worker_id
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        ORDER BY t.id
        FOR NO KEY UPDATE OF t
    LOOP
        -- A task that is named twice gets one content.
        CONTINUE WHEN piece.id = held_ids[cardinality(held_ids)];

        INSERT INTO public.contents (account_id, title, body, word_count, review_status)
        VALUES (
            piece.account_id, piece.title, piece.body, piece.word_count,
            CASE WHEN piece.auto_approve THEN 'approved' ELSE 'pending' END
        )
        RETURNING contents.id INTO new_content_id;

        held_ids := held_ids || piece.id;
        content_ids := content_ids || new_content_id;
        results := results || format(
            '{"success": true, "content_id": %s, "word_count": %s%s',
            new_content_id, piece.word_count, coalesce(', ' || piece.members, '}')
        );
    END LOOP;

    -- The rows are locked, so that what was true of them above still is; the deadline was judged there, once.
    RETURN QUERY
    UPDATE public.content_generation_tasks AS t
    SET status = 'completed',
        completed_at = clock_timestamp(),
        result = r.result::json,
        content_id = r.content_id,
        error_message = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM unnest(held_ids, results, content_ids) AS r (id, result, content_id)
    WHERE t.id = r.id
    RETURNING t.id;

    IF cardinality(held_ids) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.store(bigint, integer[], integer[], text[], text[], integer[], text[]) IS
    'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the '
    'same statement; extras are JSON objects whose members are added to the results. Returns the ids that counted.';

-- Ends tasks whose deadline has passed, waiting or running.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of their deadline, skipping those that others hold (so it never waits
--        and cannot take part in a deadlock). Returns: how many it ended.
-- A running task's worker is told by its next heartbeat. One that was cancelled ends failed here too.
CREATE OR REPLACE FUNCTION contentq.sweep_timeouts(max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
    now_ constant timestamptz := clock_timestamp();
    overdue integer[];
BEGIN
    overdue := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status IN ('pending', 'processing')
          AND t.timeout_at IS NOT NULL
          AND t.timeout_at <= now_
        ORDER BY t.timeout_at
        LIMIT sweep_timeouts.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(overdue) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET status = CASE WHEN t.cancel_requested_at IS NULL THEN 'timeout' ELSE 'failed' END,
            error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                                 WHEN t.status = 'processing' THEN 'Task execution timeout'
                                 ELSE 'Task timeout before execution' END,
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (overdue);
    END IF;
    RETURN cardinality(overdue);
END;
$$;

COMMENT ON FUNCTION contentq.sweep_timeouts(integer) IS
    'Ends up to max_rows tasks whose timeout_at has passed: timeout, with the message Task execution timeout '
    'when they were running. Returns how many.';

-- Keeps updated_at, whoever updates; and makes a task that someone sets to processing by hand nobody's.
-- Called by: the trigger content_generation_tasks_touch, which is skipped when the statement itself has
--            set updated_at to CURRENT_TIMESTAMP, as every function of contentq does.
-- Locks: nothing. Returns: the row, with updated_at set.
CREATE OR REPLACE FUNCTION contentq.touch_updated_at()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    -- The mark of a worker that lost it earlier, which could otherwise report that attempt after all.
    IF NEW.status = 'processing' AND OLD.status <> 'processing' AND NEW.worker_id = OLD.worker_id THEN
        NEW.worker_id := NULL;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION contentq.touch_updated_at() IS
    'Trigger: sets updated_at to the time of the transaction on every update; a task set to processing by hand '
    'belongs to no worker.';

-- Wakes idle workers after an INSERT.
-- Called by: the statement-level trigger content_generation_tasks_wake, so at most one notification a
--            statement; PostgreSQL folds equal ones of a transaction into one.
-- Locks: nothing. Returns: NULL (the result of an AFTER trigger is ignored).
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As notify_ready(), which a producer may have no right to call.
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.wake_workers() IS
    'Trigger: notifies channel contentq_ready, without a payload, once per inserting statement.';

CREATE TRIGGER content_generation_tasks_touch
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NEW.updated_at IS DISTINCT FROM CURRENT_TIMESTAMP)
    EXECUTE FUNCTION contentq.touch_updated_at();

COMMENT ON TRIGGER content_generation_tasks_touch ON public.content_generation_tasks IS
    'Keeps updated_at on every update; skipped when the statement has set it to CURRENT_TIMESTAMP itself.';

CREATE TRIGGER content_generation_tasks_wake
    AFTER INSERT ON public.content_generation_tasks
    FOR EACH STATEMENT
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS
    'Wakes idle workers, once per inserting statement.';
