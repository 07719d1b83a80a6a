-- Notifies who waits for what has ended, or is gone, and forgets it: who came too late for the trigger is told here.
-- Called by: maintain(). Locks: the rows that it forgets, skipping those that others hold (so it never waits).
-- Returns: how many it has forgotten, max_rows at most.
-- noted_since: only what is awaited since then is looked at. What is awaited for a day is forgotten as well: who still waits
-- calls wait_channel() again at times.
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
    'Internal: notifies who waits for what has ended, and forgets it; returns how many.';
