-- Notifies sessions that wait for tasks or batches that have ended or were deleted, and removes their rows. This covers
-- sessions that registered too late for the trigger.
-- Called by: maintain(). Locks: the rows that it removes; it skips rows that other sessions have locked, so it never waits.
-- Returns: how many rows it removed, at most max_rows.
-- noted_since: only rows added since then are checked. Rows older than a day are removed as well: sessions that still wait
-- call wait_channel() again regularly.
CREATE OR REPLACE FUNCTION contentq.forget_awaited(noted_since timestamptz, max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    each record;
    forgotten integer := 0;
BEGIN
    FOR each IN
        SELECT a.id, a.kind, a.name
        FROM contentq.awaited AS a
        WHERE a.since >= forget_awaited.noted_since
          AND (a.since < clock_timestamp() - interval '1 day'
               OR NOT EXISTS (
                   SELECT
                   FROM public.content_generation_tasks AS t
                   WHERE a.kind = 'task'
                     AND t.task_id = a.name
                     AND t.status IN ('pending', 'processing')
                   UNION ALL
                   SELECT
                   FROM public.content_generation_tasks AS t
                   WHERE a.kind = 'batch'
                     AND t.batch = a.name
                     AND t.status IN ('pending', 'processing')
               ))
        LIMIT forget_awaited.max_rows
        FOR UPDATE OF a SKIP LOCKED
    LOOP
        DELETE FROM contentq.awaited AS a WHERE a.id = each.id;
        PERFORM contentq.notify_waiters(each.kind, each.name);
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END;
$$;

COMMENT ON FUNCTION contentq.forget_awaited(timestamptz, integer) IS
    'Internal: notifies sessions that wait for ended tasks and batches, and removes their rows; returns how many.';
