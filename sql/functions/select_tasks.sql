-- Lists the tasks that match selectors, in id order.
-- Called by: matching_tasks(), count_matching(), choose_matching(), contentq list, contentq web.
-- statuses: NULL for any. only_rejected: of completed tasks, only those with rejected content. newest_first: descending
-- ids.
-- beyond_id: only ids after this one in that order; NULL for the beginning. topic: the beginning of the topic, ignoring
-- case.
-- until_id: the last id to consider, for callers that search a part of the tasks at a time; NULL for no limit. The others
-- are as in matching_tasks().
-- Locks: nothing. Returns: up to max_tasks ids; NULL for all.
-- EXECUTE plans each call for its values: a NULL selector is no condition then and costs nothing.
CREATE OR REPLACE FUNCTION contentq.select_tasks(
    statuses text[],
    account_id bigint,
    category text,
    batch text,
    since timestamptz,
    until timestamptz,
    error text,
    worker_id bigint,
    only_rejected boolean DEFAULT false,
    newest_first boolean DEFAULT false,
    beyond_id bigint DEFAULT NULL,
    max_tasks bigint DEFAULT NULL,
    topic text DEFAULT NULL,
    until_id bigint DEFAULT NULL
)
RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        $query$
        SELECT t.id::bigint
        FROM public.content_generation_tasks AS t
        WHERE ($1 IS NULL OR t.status = ANY ($1))
          AND ($2 IS NULL OR t.account_id = $2)
          AND ($3 IS NULL OR t.category = $3)
          AND ($4 IS NULL OR t.batch = $4)
          AND ($5 IS NULL OR t.submitted_at >= $5)
          AND ($6 IS NULL OR t.submitted_at < $6)
          AND ($7 IS NULL
               OR strpos(lower(t.error_message), lower($7)) > 0
               OR contentq.error_group(t.error_message) = $7)
          AND ($8 IS NULL
               OR t.status = 'processing' AND t.worker_id = $8
               OR t.status IN ('failed', 'timeout') AND t.attempt_errors -> -1 -> 'worker_id' = to_jsonb($8))
          AND (NOT $9
               OR t.status <> 'completed'
               OR EXISTS (SELECT
                          FROM public.contents AS c
                          WHERE c.id = t.content_id
                            AND c.account_id + 0 = t.account_id
                            AND c.review_status = 'rejected'))
          AND ($10 IS NULL OR t.id %1$s $10)
          AND ($12 IS NULL OR starts_with(lower(t.topic), lower($12)))
          AND ($13 IS NULL OR t.id %2$s $13)
        ORDER BY t.id %3$s
        LIMIT $11
        $query$,
        CASE WHEN select_tasks.newest_first THEN '<' ELSE '>' END,
        CASE WHEN select_tasks.newest_first THEN '>=' ELSE '<=' END,
        CASE WHEN select_tasks.newest_first THEN 'DESC' ELSE 'ASC' END
    )
    USING select_tasks.statuses, select_tasks.account_id, select_tasks.category, select_tasks.batch, select_tasks.since,
        select_tasks.until, select_tasks.error, select_tasks.worker_id, select_tasks.only_rejected, select_tasks.beyond_id,
        select_tasks.max_tasks, select_tasks.topic, select_tasks.until_id;
END;
$$;

COMMENT ON FUNCTION contentq.select_tasks(
    text[], bigint, text, text, timestamptz, timestamptz, text, bigint, boolean, boolean, bigint, bigint, text, bigint
) IS
    'Internal: the ids of the tasks that match selectors, in order.';
