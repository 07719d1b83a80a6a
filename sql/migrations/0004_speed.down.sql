-- 0004, undone: the functions and the trigger as 0002 made them.

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

DROP TRIGGER content_generation_tasks_wake ON public.content_generation_tasks;

CREATE TRIGGER content_generation_tasks_wake
    AFTER INSERT ON public.content_generation_tasks
    FOR EACH STATEMENT
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS
    'Wakes idle workers, once per inserting statement.';
