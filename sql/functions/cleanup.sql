-- Deletes old completed tasks; their content stays.
-- Called by: maintain(), cron, operators; several calls at once are safe.
-- Locks: up to max_rows tasks in order of completed_at; it skips tasks that other sessions have locked, so it never waits.
-- Returns: how many it deleted.
CREATE OR REPLACE FUNCTION contentq.cleanup(older_than interval DEFAULT '30 days', max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    old bigint[];
BEGIN
    old := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'completed'
          AND t.completed_at < now_ - cleanup.older_than
        ORDER BY t.completed_at
        LIMIT cleanup.max_rows
        FOR UPDATE SKIP LOCKED
    );
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

COMMENT ON FUNCTION contentq.cleanup(interval, integer) IS
    'Deletes up to max_rows tasks that completed longer ago than older_than; returns how many.';
