-- Locks up to `wanted` of these tasks that are ready and that no other session has locked.
-- Called by: the functions that choose tasks, with ids that they read without a lock.
-- Locks: the tasks that it returns, in the given order; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, in the given order.
CREATE OR REPLACE FUNCTION contentq.lock_in_order(ids bigint[], wanted integer)
RETURNS bigint[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT ARRAY(
            SELECT t.id::bigint
            FROM unnest(lock_in_order.ids) WITH ORDINALITY AS u (id, place)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[u.id])
            WHERE contentq.is_ready(t.status, t.scheduled_at, t.timeout_at, t.attempt)
            ORDER BY u.place
            LIMIT lock_in_order.wanted
            FOR UPDATE OF t SKIP LOCKED
        )
    );
END;
$$;

COMMENT ON FUNCTION contentq.lock_in_order(bigint[], integer) IS
    'Internal: locks up to `wanted` of these tasks that are ready and not locked; returns their ids, in order.';
