-- Computes how far a scan in strict order came in each priority, so that the next scan can start there.
-- Called by: choose_first(), choose_ready(). Locks: nothing.
-- heads: where the scan started; NULL for a full scan. chosen: the tasks that it locked. is_full: whether it stopped
-- because it had enough tasks. began: when it started.
-- Returns: for each priority in which it passed anything, the submitted_at and the id of the last task.
CREATE OR REPLACE FUNCTION contentq.reached_places(heads jsonb, chosen bigint[], is_full boolean, began timestamptz)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    -- Excludes the last second: its tasks may not be committed yet.
    latest constant timestamptz := reached_places.began - interval '1 second';
    found jsonb := jsonb '{}';
    least_urgent integer := CASE WHEN reached_places.is_full THEN 10 ELSE 0 END;
BEGIN
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole one.
    IF cardinality(reached_places.chosen) > 0 THEN
        SELECT jsonb_object_agg(l.priority, l.place), CASE WHEN reached_places.is_full THEN min(l.priority) ELSE 0 END
        INTO found, least_urgent
        FROM (
            SELECT DISTINCT ON (t.priority) t.priority,
                   CASE WHEN t.submitted_at < latest THEN jsonb_build_array(t.submitted_at, t.id)
                        ELSE jsonb_build_array(latest, 0) END AS place
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (reached_places.chosen)
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
        ) AS l;
    END IF;
    IF reached_places.heads IS NOT NULL THEN
        RETURN reached_places.heads || found;
    END IF;
    -- A full scan has seen everything more urgent than the last task it chose, and everything if it chose too few.
    RETURN (
        SELECT coalesce(jsonb_object_agg(p.priority, jsonb_build_array(latest, 0)), '{}')
        FROM generate_series(1, 10) AS p (priority)
        WHERE p.priority > least_urgent
    ) || found;
END;
$$;

COMMENT ON FUNCTION contentq.reached_places(jsonb, bigint[], boolean, timestamptz) IS
    'Internal: how far a scan in strict order came in each priority.';
