-- 0004: commits of producers share a flush again, content is stored many rows at a time, and no call reads more than
-- what it works on, whatever the backlog is and whatever the statistics say of it.

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
SET enable_incremental_sort = off
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

    heads := coalesce(heads, '{}');
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole one.
    IF cardinality(chosen) > 0 THEN
        -- Not into the last second, whose tasks may not have been committed yet.
        SELECT heads || jsonb_object_agg(l.priority, l.place)
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
    END IF;
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
    now_ constant timestamptz := clock_timestamp();
    -- Whether tasks are being committed that no one may have been notified of (see wake_workers); asked before looking.
    are_coming constant boolean := NOT CASE
        WHEN pg_try_advisory_lock(1668183153, 0) THEN pg_advisory_unlock(1668183153, 0)
        ELSE false
    END;
    chosen integer[];
BEGIN
    IF NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = claim.worker_id) THEN
        PERFORM contentq.raise_not_registered(claim.worker_id);
    END IF;
    IF claim.max_tasks IS NULL OR claim.max_tasks < 1 THEN
        RETURN;
    END IF;

    -- Not EXISTS, which drops the order, and with it the reason to use the index on scheduled_at.
    IF (SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at
        LIMIT 1) IS NOT NULL
        AND contentq.promote_scheduled() > claim.max_tasks
    THEN
        PERFORM contentq.notify_ready();
    END IF;

    chosen := contentq.choose_ready(claim.max_tasks, claim.categories);
    IF are_coming AND cardinality(chosen) < claim.max_tasks THEN
        PERFORM set_config('contentq.look_again', extract(epoch FROM clock_timestamp())::text, false);
    ELSIF current_setting('contentq.look_again', true) <> '' THEN
        PERFORM set_config('contentq.look_again', '', false);
    END IF;
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
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
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
-- The coalesce leaves the planner no index but the primary key. By its statistics another one may look as good, and
-- then every report of a worker would read all the tasks that it holds. It is also estimated to hold for half of the
-- tasks: were that one task, reading a whole small table by its ids would look better than looking up each id.
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
          AND coalesce(t.status = 'processing' AND t.worker_id = complete.worker_id, false)
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        RETURNING t.id
    )
    SELECT coalesce(array_agg(c.id), '{}') INTO completed FROM counted AS c;

    IF cardinality(completed) < cardinality(complete.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(complete.worker_id, complete.ids, complete.attempts);
    END IF;

    IF complete.content_ids IS NOT NULL AND cardinality(completed) > 0 THEN
        WITH produced AS MATERIALIZED (
            SELECT t.content_id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (completed)
              AND t.auto_approve
              AND t.content_id + 0 = ANY (complete.content_ids)
        )
        UPDATE public.contents AS c
        SET review_status = 'approved'
        FROM produced AS p
        WHERE c.id = p.content_id
          AND c.review_status = 'pending';
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

COMMENT ON FUNCTION contentq.complete(bigint, integer[], integer[], text[], integer[]) IS
    'Completes the tasks (ids with their attempts) that this worker still holds; results are JSON as text, '
    'content_ids the content they produced. Returns the ids that counted; the others were taken over, '
    'cancelled or past their deadline.';

-- Ends the tasks among these that were overtaken: cancelled while running (failed) or past their deadline
-- (timeout). Whatever their handler reports no longer counts.
-- Called by: complete(), store(), fail(), snooze() and release(), for tasks of the worker that reports.
-- Locks: all of these tasks that the worker holds, ended or not, in id order. Returns: the ids that it ended.
-- For the coalesce see complete().
CREATE OR REPLACE FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
AS $$
#variable_conflict use_column
BEGIN
    -- The lock comes first, in a statement of its own: a cancel that is about to commit is waited for here, and
    -- the statements after this one see it.
    PERFORM t.id
    FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
    JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
    WHERE coalesce(t.status = 'processing' AND t.worker_id = end_cancelled_or_overdue.worker_id, false)
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
      AND coalesce(t.status = 'processing' AND t.worker_id = end_cancelled_or_overdue.worker_id, false)
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
-- For the coalesce see complete().
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
      AND coalesce(t.status = 'processing' AND t.worker_id = fail.worker_id, false)
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
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET enable_sort = on
AS $$
DECLARE
    marked integer[];
BEGIN
    marked := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id = forget_worker.worker_id
          AND t.status <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(marked) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (marked);
    END IF;

    DELETE FROM contentq.workers AS w WHERE w.id = forget_worker.worker_id;
END;
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
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
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
      AND t.status || '' = 'processing'
      AND t.cancel_requested_at IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.heartbeat(bigint, integer) IS
    'Keeps a worker alive (10 seconds of silence and its tasks are rescued) and returns (id, attempt) of the '
    'tasks that it should stop: cancelled, or no longer its own. busy: tasks that it is running. '
    'Raises CQ001 when it is not registered.';

-- Says how long until there may be something more to claim, so that an idle worker sleeps exactly that long: until a
-- scheduled task becomes ready, or until choose_ready() of this session should look at everything again; and 5
-- milliseconds when its last claim came while tasks were being committed that no one may have been notified of.
-- Called by: workers, when a claim found nothing more.
-- It is volatile, so that in one statement with a claim it sees what the claim has done.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_claim_in()
RETURNS interval
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT CASE
        WHEN nullif(current_setting('contentq.look_again', true), '')::float8
             BETWEEN extract(epoch FROM clock_timestamp()) - 1 AND extract(epoch FROM clock_timestamp())
        THEN interval '5 milliseconds'
        WHEN d.due IS NOT NULL
        THEN greatest(d.due - clock_timestamp(), interval '0')
    END
    FROM (
        SELECT least(
            (SELECT t.scheduled_at
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NOT NULL
               AND t.scheduled_at < 'infinity'
             ORDER BY t.scheduled_at
             LIMIT 1),
            (nullif(current_setting('contentq.ready_heads', true), '')::jsonb->>'until')::timestamptz
        ) AS due
    ) AS d;
$$;

COMMENT ON FUNCTION contentq.next_claim_in() IS
    'Time until the next scheduled task becomes ready, or until this session should look again for another reason; '
    'NULL when there is no such time.';

-- Releases every task that the database thinks a worker holds and that the worker does not know: the answer
-- to its claim was lost on the way. Without this, such a task would wait for as long as the worker lives.
-- Called by: workers, between two claims; and deregister_worker().
-- Locks: those tasks, in id order. Returns: the ids that went back to pending.
CREATE OR REPLACE FUNCTION contentq.reconcile(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT contentq.release(reconcile.worker_id, array_agg(h.id), array_agg(h.attempt))
    FROM (
        -- A range and an order that only the index on the holders of tasks has; = would make any index do.
        SELECT t.id, t.attempt
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN reconcile.worker_id AND reconcile.worker_id
          AND t.status = 'processing'
        ORDER BY t.worker_id
    ) AS h
    WHERE (h.id, h.attempt) NOT IN (SELECT r.id, r.attempt
                                    FROM unnest(reconcile.ids, reconcile.attempts) AS r (id, attempt)
                                    WHERE r.id IS NOT NULL AND r.attempt IS NOT NULL)
    HAVING count(*) > 0;
$$;

COMMENT ON FUNCTION contentq.reconcile(bigint, integer[], integer[]) IS
    'Releases the tasks recorded as held by this worker that are not among the attempts that it knows of (ids with '
    'their attempts); returns their ids. To be called while no claim of the worker is under way.';

-- Gives tasks back unfinished: pending at once, nothing charged.
-- Called by: workers, at a graceful stop.
-- Locks: the tasks, in id order. Returns: the ids that went back to pending.
-- A task whose (worker, attempt) no longer holds is left alone. One that was cancelled meanwhile ends
-- failed, one past its deadline ends timeout.
-- For the coalesce see complete().
CREATE OR REPLACE FUNCTION contentq.release(worker_id bigint, ids integer[], attempts integer[])
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
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
      AND coalesce(t.status = 'processing' AND t.worker_id = release.worker_id, false)
    RETURNING t.id;

    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.release(bigint, integer[], integer[]) IS
    'Puts tasks that this worker holds back to pending, nothing charged; returns the ids that went back.';

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
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    dead bigint[];
    lost bigint[];
    holder_id bigint := -9223372036854775808;
    lost_id bigint;
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

    -- Whoever holds tasks is found by one look into the index on the holders for each: their tasks are not read.
    lost := dead;
    LOOP
        SELECT t.worker_id
        INTO holder_id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.worker_id > holder_id
        ORDER BY t.worker_id
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        IF NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = holder_id) THEN
            lost := lost || holder_id;
        END IF;
    END LOOP;

    FOREACH lost_id IN ARRAY lost LOOP
        FOR task IN
            -- A range and an order that only that index has; = would make any index do.
            SELECT t.id, t.worker_id, t.attempt, t.retry_count, t.max_retries, t.cancel_requested_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.worker_id BETWEEN lost_id AND lost_id
            ORDER BY t.worker_id, t.id
            LIMIT 1000 - rescued
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
        EXIT WHEN rescued >= 1000;
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

-- Puts a task back to pending until a given time, with no retry charged: the work was not tried in earnest,
-- for instance because a provider said 429.
-- Called by: workers. Locks: the task's row.
-- Returns: whether it counted; false when (worker, attempt) no longer holds, or the task was cancelled or is
--          past its deadline (it is then ended).
-- For the coalesce see complete().
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
      AND coalesce(t.status = 'processing' AND t.worker_id = snooze.worker_id, false);
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
-- For the coalesce see complete().
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
    held_ids integer[];
    places bigint[];
    held_counts integer[];
    held_extras text[];
    content_ids integer[];
BEGIN
    IF EXISTS (SELECT FROM unnest(store.extras) AS e (extra) WHERE json_typeof(e.extra::json) <> 'object') THEN
        RAISE EXCEPTION 'extras must be JSON objects'
            USING ERRCODE = 'invalid_text_representation';
    END IF;

    -- A task that is named twice gets one content.
    SELECT array_agg(h.id), array_agg(h.place), array_agg(h.word_count), array_agg(h.extra)
    INTO held_ids, places, held_counts, held_extras
    FROM (
        SELECT DISTINCT ON (l.id) l.*
        FROM (
            SELECT t.id, r.place, r.word_count, r.extra
            FROM unnest(store.ids, store.attempts, store.word_counts, store.extras)
                WITH ORDINALITY AS r (id, attempt, word_count, extra, place)
            JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
            WHERE coalesce(t.status = 'processing' AND t.worker_id = store.worker_id, false)
              AND t.cancel_requested_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
            ORDER BY t.id
            FOR NO KEY UPDATE OF t
        ) AS l
        ORDER BY l.id, l.place
    ) AS h;

    -- The rows are locked, so that what was true of them above still is; the deadline was judged there, once.
    WITH stored AS (
        INSERT INTO public.contents (account_id, title, body, word_count, review_status)
        SELECT t.account_id, r.title, r.body, r.word_count,
               CASE WHEN t.auto_approve THEN 'approved' ELSE 'pending' END
        FROM unnest(store.ids, store.titles, store.bodies, store.word_counts)
            WITH ORDINALITY AS r (id, title, body, word_count, place)
        JOIN public.content_generation_tasks AS t ON t.id = r.id
        WHERE r.place = ANY (places)
        ORDER BY r.id
        RETURNING contents.id
    )
    SELECT array_agg(s.id)
    INTO content_ids
    FROM stored AS s;
    IF cardinality(content_ids) <> cardinality(held_ids) THEN
        RAISE EXCEPTION 'a trigger or a rule of table contents has left out content'
            USING ERRCODE = 'triggered_action_exception';
    END IF;

    RETURN QUERY
    UPDATE public.content_generation_tasks AS t
    SET status = 'completed',
        completed_at = clock_timestamp(),
        result = (
            format('{"success": true, "content_id": %s, "word_count": %s', r.content_id, r.word_count)
            || coalesce(', ' || nullif(btrim(substr(btrim(r.extra, E' \n\r\t'), 2), E' \n\r\t'), '}'), '}')
        )::json,
        content_id = r.content_id,
        error_message = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM unnest(held_ids, content_ids, held_counts, held_extras) AS r (id, content_id, word_count, extra)
    WHERE t.id = r.id
    RETURNING t.id;

    IF coalesce(cardinality(held_ids), 0) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.store(bigint, integer[], integer[], text[], text[], integer[], text[]) IS
    'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the '
    'same statement; extras are JSON objects whose members are added to the results. Returns the ids that counted.';

-- Wakes idle workers when a transaction that has inserted tasks commits.
-- Called by: the deferred trigger content_generation_tasks_wake, once a transaction, right before its commit.
-- Locks: two advisory locks of the transaction, which it never waits for. Returns: NULL (it is ignored).
--
-- A transaction that notifies holds up every other one that does until its commit is on disk: were each to notify,
-- commits could not share a flush. So one of those that commit at the same time notifies for all. The others are
-- known by the first lock, which all hold until their commits are visible: a claim that comes too early for one of
-- them sees that, and its worker looks again (see claim() and next_claim_in()).
-- The second lock says who notifies. It counts for a twentieth of a second, so that a commit that hangs, or a
-- transaction that goes on after SET CONSTRAINTS IMMEDIATE, keeps none from notifying that comes later.
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As notify_ready(), which a producer may have no right to call.
    IF pg_notification_queue_usage() < 0.5
        AND (NOT pg_try_advisory_xact_lock_shared(1668183153, 0)
             OR pg_try_advisory_xact_lock(
                 1668183153, 1 + (floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000000)::integer))
    THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.wake_workers() IS
    'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that has inserted '
    'tasks; one of several that commit at the same time does it for all.';

DROP TRIGGER content_generation_tasks_wake ON public.content_generation_tasks;

-- Deferred triggers are for each row; the condition, which is evaluated when the row is inserted, lets one row of a
-- transaction pass.
CREATE CONSTRAINT TRIGGER content_generation_tasks_wake
    AFTER INSERT ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status = 'pending'
        AND current_setting('contentq.has_inserted', true) IS DISTINCT FROM 'yes'
        AND set_config('contentq.has_inserted', 'yes', true) = 'yes'
    )
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS
    'Wakes idle workers, once a transaction that has inserted tasks, at its commit.';
