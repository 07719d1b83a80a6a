-- Deletes old failed and timed-out tasks; their content stays.
-- Called by: maintain() with settings.failed_retention, cron, operators; several calls at once are safe.
-- Locks: up to max_rows tasks in id order; it skips tasks that other sessions have locked, so it never waits.
-- Returns: how many it deleted.
-- No index has the time of a failure, because every update would have to write it. So all failed tasks are read.
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
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

COMMENT ON FUNCTION contentq.cleanup_failed(interval, integer) IS
    'Deletes up to max_rows tasks that failed or timed out longer ago than older_than; returns how many.';
