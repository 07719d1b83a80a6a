-- Deletes completed tasks that are old; their content stays.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of completed_at, skipping those that others hold (so it never waits).
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
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
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
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

COMMENT ON FUNCTION contentq.cleanup(interval, integer) IS
    'Deletes up to max_rows completed tasks that ended longer ago than older_than; returns how many.';
