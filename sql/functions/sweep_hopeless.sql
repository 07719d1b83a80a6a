-- Ends waiting tasks that cannot finish by their deadline, according to the median duration of their category.
-- Called by: maintain(), with the setting deadlines.
-- Locks: up to max_rows tasks in deadline order; it skips tasks that other sessions have locked, so it never waits.
-- Returns: how many it ended. Of the tasks whose deadline is nearer than the longest median of any category, it reads the
--          next 10 * max_rows. No claim begins a hopeless task that it does not reach, so that one ends at its deadline.
CREATE OR REPLACE FUNCTION contentq.sweep_hopeless(max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    now_ constant timestamptz := clock_timestamp();
    longest constant interval := (SELECT max(d.median) FROM contentq.durations AS d);
    hopeless bigint[];
BEGIN
    hopeless := ARRAY(
        SELECT t.id
        FROM (
            SELECT w.id, w.status, w.category, w.timeout_at
            FROM public.content_generation_tasks AS w
            WHERE w.status IN ('pending', 'processing')
              AND w.timeout_at IS NOT NULL
              AND w.timeout_at > now_
              AND w.timeout_at <= now_ + longest
            ORDER BY w.timeout_at
            LIMIT 10 * sweep_hopeless.max_rows
        ) AS n
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
        WHERE n.status = 'pending'
          AND n.timeout_at <= now_ + contentq.median_duration(n.category)
          AND t.status = 'pending'
          AND t.timeout_at = n.timeout_at
        LIMIT sweep_hopeless.max_rows
        FOR UPDATE OF t SKIP LOCKED
    );
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
