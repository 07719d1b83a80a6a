-- Measures how long tasks take, by category, from the last 1000 completed tasks.
-- Called by: maintain(), once a minute, with the setting deadlines.
-- Locks: rows of durations, for which only maintain() competes. Returns: nothing.
-- A category with fewer than 5 of these tasks keeps its previous measurement. Those of the 1000 categories that were measured
-- last are kept, because producers name the categories.
CREATE OR REPLACE FUNCTION contentq.measure_durations()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
BEGIN
    INSERT INTO contentq.durations AS d (category, median)
    SELECT coalesce(l.category, ''), percentile_cont(0.5) WITHIN GROUP (ORDER BY l.completed_at - l.started_at)
    FROM (
        SELECT t.category, t.started_at, t.completed_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'completed'
          AND t.completed_at > '-infinity'
        ORDER BY t.completed_at DESC
        LIMIT 1000
    ) AS l
    WHERE l.started_at <= l.completed_at
    GROUP BY coalesce(l.category, '')
    HAVING count(*) >= 5
    ON CONFLICT ON CONSTRAINT durations_pkey DO UPDATE
    SET median = excluded.median,
        measured_at = excluded.measured_at;
    DELETE FROM contentq.durations AS d
    WHERE d.category = ANY (ARRAY(
        SELECT m.category
        FROM contentq.durations AS m
        ORDER BY m.measured_at DESC
        OFFSET 1000
    ));
END;
$$;

COMMENT ON FUNCTION contentq.measure_durations() IS
    'Internal: measures how long tasks of each category take, from the last 1000 completed tasks.';
