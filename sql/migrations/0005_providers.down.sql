-- 0005, undone. Pauses and budgets of accounts go with their columns, and so does what was recorded of usage.

DROP TRIGGER accounts_blocked_insert ON public.accounts;
DROP TRIGGER accounts_blocked_update ON public.accounts;
DROP TRIGGER accounts_blocked_delete ON public.accounts;
DROP TRIGGER accounts_blocked_truncate ON public.accounts;

DROP VIEW contentq.gate_status;
DROP VIEW contentq.paused_accounts;
DROP VIEW contentq.usage_by_account;
DROP VIEW contentq.usage_by_model;
DROP VIEW contentq.usage_by_day;
DROP VIEW contentq.running_tasks;
DROP VIEW contentq.worker_status;

DROP FUNCTION contentq.requeue(text, text);
DROP FUNCTION contentq.explain(text);
DROP FUNCTION contentq.gate_closure_text(contentq.gates);
DROP FUNCTION contentq.report_progress(bigint, integer[], integer[], real[], text[]);
DROP FUNCTION contentq.record_usage(bigint, integer[], text[]);
DROP FUNCTION contentq.account_changed();
DROP FUNCTION contentq.block_account(integer);
DROP FUNCTION contentq.open_gate(text);
DROP FUNCTION contentq.close_gate(text, timestamptz, text, boolean);
DROP FUNCTION contentq.spent_this_month(integer);
DROP FUNCTION contentq.usage_amount(jsonb);

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

-- What is being executed now, longest first.
CREATE OR REPLACE VIEW contentq.running_tasks AS
SELECT
    t.id,
    t.task_id,
    t.account_id AS account,
    t.priority,
    t.attempt,
    date_trunc('second', clock_timestamp() - t.started_at) AS running,
    date_trunc('second', t.timeout_at - clock_timestamp()) AS time_left,
    t.worker_id,
    w.hostname,
    left(t.topic, 40) AS topic
FROM public.content_generation_tasks AS t
LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
WHERE t.status = 'processing'
ORDER BY t.started_at, t.id;

COMMENT ON VIEW contentq.running_tasks IS
    'Tasks that are processing, longest first, with their worker (NULL when set to processing by hand).';

-- The registered workers and whether they are heard. Busy is counted from the tasks, since what a worker has said
-- of itself may be two seconds old.
CREATE OR REPLACE VIEW contentq.worker_status AS
SELECT
    w.id,
    w.hostname,
    w.pid,
    CASE
        WHEN w.heartbeat_at < clock_timestamp() - s.heartbeat_timeout THEN 'silent'
        WHEN w.draining THEN 'draining'
        WHEN held.busy >= w.slots THEN 'full'
        WHEN held.busy > 0 THEN 'working'
        ELSE 'idle'
    END AS state,
    held.busy,
    w.slots,
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heard_s_ago,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    left(w.handler, 30) AS handler,
    w.version
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS busy
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = w.id
      AND t.status = 'processing'
) AS held
ORDER BY w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers: idle, working, full, draining or silent; busy of slots, by the tasks held; seconds since '
    'the last heartbeat.';

ALTER TABLE public.content_generation_tasks
    DROP COLUMN progress,
    DROP COLUMN progress_note;

DO $$
DECLARE
    owned record;
BEGIN
    FOR owned IN SELECT o.table_name, o.column_name FROM contentq.owned_columns AS o LOOP
        EXECUTE format('ALTER TABLE public.%I DROP COLUMN %I', owned.table_name, owned.column_name);
    END LOOP;
END;
$$;

DROP TABLE contentq.owned_columns;
DROP TABLE contentq.usage;
DROP TABLE contentq.blocked_accounts;
DROP TABLE contentq.gates;
