-- Stores a verdict on pending content that matches selectors, for one chunk.
-- Called by: approve_matching() and reject_matching(), with the rights of their owner.
-- Locks: the contents, then with revise their tasks, each in id order; it skips rows that other sessions have locked, on
--        which someone is deciding, so it never waits.
-- Returns: contents: how many; last_id, NULL after the last ones.
-- Raises: 22023 without a selector.
-- coalesce(): contents are found by id, not among all pending ones.
CREATE OR REPLACE FUNCTION contentq.mark_matching(
    verdict text,
    account_id bigint,
    category text,
    batch text,
    since timestamptz,
    until timestamptz,
    reviewer text,
    note text,
    revise boolean,
    after_id bigint,
    max_contents integer
)
RETURNS TABLE (contents bigint, last_id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most constant integer := least(greatest(coalesce(mark_matching.max_contents, 1000), 1), 10000);
    is_revised constant boolean := coalesce(mark_matching.revise, false);
    ids bigint[];
    marked bigint[];
    tasks bigint[];
BEGIN
    IF num_nonnulls(mark_matching.account_id, mark_matching.category, mark_matching.batch, mark_matching.since,
                    mark_matching.until) = 0 THEN
        RAISE EXCEPTION 'no selector given: name the content to decide on'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass account_id, category, batch, since or until. To select all pending content: '
                         'since => ''-infinity''.';
    END IF;
    ids := ARRAY(
        SELECT m.id
        FROM contentq.matching_contents(
            mark_matching.account_id, mark_matching.category, mark_matching.batch, mark_matching.since,
            mark_matching.until, mark_matching.after_id, most, contentq.seen_accounts()
        ) AS m (id)
    );
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(ids) = 0 THEN
        RETURN QUERY SELECT 0::bigint, NULL::bigint;
        RETURN;
    END IF;
    marked := ARRAY(
        SELECT c.id
        FROM public.contents AS c
        WHERE c.id = ANY (ids)
          AND coalesce(c.review_status, '') = 'pending'
        ORDER BY c.id
        FOR NO KEY UPDATE SKIP LOCKED
    );
    IF is_revised AND cardinality(marked) > 0 THEN
        tasks := ARRAY(
            SELECT t.id
            FROM public.contents AS c
            JOIN public.content_generation_tasks AS t
                ON t.id = contentq.task_of_content(c.id, c.generation_task_id, c.account_id)
                AND t.account_id + 0 = c.account_id
                AND t.content_id + 0 = c.id
            WHERE c.id = ANY (marked)
              AND t.status <> ALL ('{pending,processing}')
            ORDER BY t.id
            FOR NO KEY UPDATE OF t SKIP LOCKED
        );
        marked := ARRAY(SELECT t.content_id FROM public.content_generation_tasks AS t WHERE t.id = ANY (tasks));
    END IF;
    IF cardinality(marked) > 0 THEN
        UPDATE public.contents AS c
        SET review_status = mark_matching.verdict,
            reviewed_by = left(coalesce(nullif(btrim(mark_matching.reviewer), ''), session_user), 100),
            reviewed_at = clock_timestamp(),
            review_note = contentq.shorten(mark_matching.note, 8000)
        WHERE c.id = ANY (marked);
    END IF;
    IF is_revised AND cardinality(marked) > 0 THEN
        PERFORM contentq.requeue_tasks(tasks, mark_matching.note);
    END IF;
    contents := cardinality(marked);
    IF cardinality(ids) = most THEN
        last_id := ids[cardinality(ids)];
    END IF;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION contentq.mark_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, text, boolean, bigint, integer
) IS
    'Internal: stores a verdict on one chunk of the pending content that matches the selectors.';
