-- Deletes requests for batches that no task waits for: those without a batch, and those whose batch is long over. Handlers
-- of batches delete them too (see sweep_batches()); this function is for when no such handler runs any more.
-- Called by: maintain(). Locks: the requests; it skips rows that other sessions have locked. Returns: how many it deleted,
-- at most max_rows.
CREATE OR REPLACE FUNCTION contentq.forget_requests(max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT w.id, w.attempt
        FROM contentq.batch_requests AS w
        LEFT JOIN contentq.provider_batches AS b ON b.id = w.batch_id
        WHERE w.answered_at IS NULL
          AND (b.id IS NULL OR coalesce(b.expires_at, b.opened_at + interval '1 day') < clock_timestamp() - interval '1 day')
          AND NOT EXISTS (SELECT
                          FROM public.content_generation_tasks AS t
                          WHERE t.id = w.id
                            AND contentq.is_batch_wanted(t.status, t.handler_state, w.attempt))
        LIMIT forget_requests.max_rows
        FOR UPDATE OF w SKIP LOCKED
    );
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END;
$$;

COMMENT ON FUNCTION contentq.forget_requests(integer) IS
    'Internal: deletes requests for batches that no task waits for; returns how many.';
