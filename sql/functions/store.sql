-- Stores the content of tasks that a worker holds and completes them in one statement: content never exists without its
-- completed task, nor the reverse.
-- Called by: workers, for handlers that return content.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- The result of each task is {"success": true, "content_id": ..., "word_count": ...} followed by the members of the JSON
-- object in extras. Content is approved if the task has auto_approve; otherwise reviewers are notified if
-- settings.notify_reviewers is on.
-- Model, tokens and cost in extras are added to the usage of the task's account (see add_usage()).
-- Attempts that the worker no longer holds are ignored and get no content. A task that was cancelled meanwhile ends failed,
-- a task past its deadline ends timeout; neither counts.
-- A title is cut to the length of its column.
-- Raises: 22003, 22P02, 22P05 or 54001, with nothing changed, if an element of extras is not a JSON object; 22023 if it
--         contains a member that contentq sets in the result.
CREATE OR REPLACE FUNCTION contentq.store(
    worker_id bigint,
    ids bigint[],
    attempts integer[],
    titles text[],
    bodies text[],
    word_counts integer[],
    extras text[] DEFAULT NULL
)
RETURNS SETOF bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    held_ids bigint[];
    places bigint[];
    held_counts integer[];
    held_extras text[];
    content_ids bigint[];
    needs_review boolean;
    last_began_at timestamptz;
    tokens numeric;
    -- The maximum number of characters of a title; NULL in a host's table without a limit.
    title_length constant integer := (
        SELECT nullif(a.atttypmod, -1) - 4
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.contents'::regclass
          AND a.attname = 'title'
    );
BEGIN
    IF NOT contentq.is_own_worker(store.worker_id) THEN
        RETURN;
    END IF;
    IF store.extras IS NOT NULL THEN
        PERFORM contentq.refuse_extras(store.extras);
    END IF;

    -- A task listed twice gets one content.
    SELECT array_agg(h.id), array_agg(h.place), array_agg(h.word_count), array_agg(h.extra), max(h.started_at)
    INTO held_ids, places, held_counts, held_extras, last_began_at
    FROM (
        SELECT DISTINCT ON (l.id) l.*
        FROM (
            SELECT t.id, t.started_at, r.place, r.word_count, r.extra
            FROM unnest(store.ids, store.attempts, store.word_counts, store.extras)
                WITH ORDINALITY AS r (id, attempt, word_count, extra, place)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
            WHERE contentq.is_held(t.status, t.worker_id, store.worker_id)
              AND t.cancel_requested_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
            ORDER BY r.id
            FOR NO KEY UPDATE OF t
        ) AS l
        ORDER BY l.id, l.place
    ) AS h;

    -- The rows are locked, so the conditions above still hold. The deadline is checked only once, above.
    WITH stored AS (
        INSERT INTO public.contents (account_id, title, body, word_count, review_status, generation_task_id)
        SELECT t.account_id, coalesce(left(r.title, title_length), r.title), r.body, r.word_count,
               CASE WHEN t.auto_approve THEN 'approved' ELSE 'pending' END, t.id
        FROM unnest(store.ids, store.titles, store.bodies, store.word_counts)
            WITH ORDINALITY AS r (id, title, body, word_count, place)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.place = ANY (places)
        ORDER BY r.id
        RETURNING contents.id, contents.review_status
    )
    SELECT array_agg(s.id), bool_or(s.review_status = 'pending')
    INTO content_ids, needs_review
    FROM stored AS s;
    IF cardinality(content_ids) <> cardinality(held_ids) THEN
        RAISE EXCEPTION 'a trigger or rule on table contents suppressed an insert of content'
            USING ERRCODE = 'triggered_action_exception';
    END IF;
    IF needs_review THEN
        PERFORM contentq.notify_reviewers();
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
        revision_note = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM unnest(held_ids, content_ids, held_counts, held_extras) AS r (id, content_id, word_count, extra)
    WHERE t.id = ANY (ARRAY[r.id])
    RETURNING t.id::bigint;

    IF cardinality(held_ids) > 0
        AND (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = store.worker_id) > 0
    THEN
        PERFORM contentq.clear_failures(ARRAY[store.worker_id]);
    END IF;

    IF EXISTS (SELECT
               FROM unnest(held_extras) AS e (extra)
               WHERE strpos(e.extra, '_tokens"') > 0 OR strpos(e.extra, '"cost"') > 0)
        OR cardinality(held_ids) > 0
           AND (EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                OR EXISTS (SELECT FROM contentq.budgets AS b))
    THEN
        tokens := contentq.add_usage(held_ids, held_extras);
    END IF;
    PERFORM contentq.note_answers(store.worker_id, cardinality(held_ids), last_began_at, tokens, held_ids, held_extras);

    IF coalesce(cardinality(held_ids), 0) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.store(bigint, bigint[], integer[], text[], text[], integer[], text[]) IS
    'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the same '
    'statement. extras: JSON objects as text whose members are added to the results. Returns the ids that counted.';
