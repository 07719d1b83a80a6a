-- 0004, undone: the functions and the trigger as 0002 made them.

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

CREATE OR REPLACE FUNCTION contentq.next_scheduled()
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

COMMENT ON FUNCTION contentq.next_scheduled() IS
    'Time until the next scheduled task becomes ready, or until this session should look at all tasks again; NULL '
    'when there is no such time.';

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
        PERFORM contentq.end_overtaken(store.worker_id, store.ids, store.attempts);
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
