-- Ends waiting tasks that cannot finish by their deadline, according to the median duration of their category.
-- Called by: maintain(), with the setting deadlines.
-- Locks: up to max_rows tasks, of one category after another, in deadline order; it skips tasks that other sessions have
--        locked, so it never waits. Returns: how many it ended.
-- Of each category, it reads only tasks whose deadline is nearer than the median of that category. The categories come in
-- random order, so that very many tasks of one category do not hide those of others for long.
CREATE OR REPLACE FUNCTION contentq.sweep_hopeless(max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    now_ constant timestamptz := clock_timestamp();
    each record;
    hopeless bigint[] := ARRAY[]::bigint[];
BEGIN
    FOR each IN
        SELECT d.category, d.median
        FROM contentq.durations AS d
        ORDER BY random()
    LOOP
        -- The condition of content_generation_tasks_category_deadline_idx, which no other index has.
        hopeless := hopeless || ARRAY(
            SELECT t.id::bigint
            FROM public.content_generation_tasks AS t
            WHERE coalesce(t.category, '') = each.category
              AND t.status || '' = 'pending'
              AND t.timeout_at IS NOT NULL
              AND t.timeout_at > now_
              AND t.timeout_at <= now_ + each.median
            ORDER BY t.timeout_at
            LIMIT sweep_hopeless.max_rows - cardinality(hopeless)
            FOR UPDATE SKIP LOCKED
        );
        EXIT WHEN cardinality(hopeless) >= sweep_hopeless.max_rows;
    END LOOP;
    IF cardinality(hopeless) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET status = 'timeout',
            error_message = contentq.shorten(
                format('Task timeout before execution: its deadline is %s, and tasks %s take %s s (median)%s',
                       date_trunc('second', t.timeout_at),
                       CASE WHEN t.category IS NULL THEN 'without a category'
                            ELSE format('of category %s', t.category) END,
                       round(extract(epoch FROM contentq.median_duration(t.category))::numeric, 1),
                       '; the last attempt ended with: ' || t.error_message),
                8000),
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (hopeless);
    END IF;
    RETURN cardinality(hopeless);
END;
$$;

COMMENT ON FUNCTION contentq.sweep_hopeless(integer) IS
    'Internal: ends waiting tasks that cannot finish by their deadline, by the median duration of their category.';
