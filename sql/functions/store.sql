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
        PERFORM contentq.end_overtaken(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.store(bigint, integer[], integer[], text[], text[], integer[], text[]) IS
    'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the '
    'same statement; extras are JSON objects whose members are added to the results. Returns the ids that counted.';
