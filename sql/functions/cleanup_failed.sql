-- Deletes failed and timed-out tasks that are old; their content stays.
-- Called by: maintain() with settings.failed_retention, cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of their id, skipping those that others hold (so it never waits).
-- Returns: how many it deleted.
-- When a task failed is in no index, since every update would have to write it: all failed tasks are looked at.
CREATE OR REPLACE FUNCTION contentq.cleanup_failed(older_than interval, max_rows integer DEFAULT 1000)
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
    before constant timestamptz := clock_timestamp() - cleanup_failed.older_than;
    old bigint[];
BEGIN
    old := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status IN ('failed', 'timeout')
          AND t.updated_at < before
        ORDER BY t.id
        LIMIT cleanup_failed.max_rows
        FOR UPDATE SKIP LOCKED
    );
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

COMMENT ON FUNCTION contentq.cleanup_failed(interval, integer) IS
    'Deletes up to max_rows tasks that failed or timed out longer ago than older_than; returns how many.';
