-- 0004: commits of producers share a flush again, and content is stored many rows at a time.

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

    IF EXISTS (SELECT
               FROM public.content_generation_tasks AS t
               WHERE t.status = 'pending' AND t.scheduled_at IS NOT NULL AND t.scheduled_at <= now_)
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

-- Says how long until there may be something more to claim, so that an idle worker sleeps exactly that long: until a
-- scheduled task becomes ready, or until choose_ready() of this session should look at everything again; and 5
-- milliseconds when its last claim came while tasks were being committed that no one may have been notified of.
-- Called by: workers, when a claim found nothing more.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_scheduled()
RETURNS interval
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION contentq.next_scheduled() IS
    'Time until the next scheduled task becomes ready, or until this session should look again for another reason; '
    'NULL when there is no such time.';

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
            WHERE t.status || '' = 'processing'
              AND t.worker_id + 0 = store.worker_id
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
        PERFORM contentq.end_overtaken(store.worker_id, store.ids, store.attempts);
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
-- them sees that, and its worker looks again (see claim() and next_scheduled()).
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
