-- Counts the running tasks of workers that are not registered, and that have entered no gate.
-- Nothing says which gate they passed, so they count at every gate with a cap until they are rescued.
-- Called by: gate_state(), after gate_running(). Locks: nothing. Returns: how many of them began at `since` or later.
CREATE OR REPLACE FUNCTION contentq.unregistered_running(since timestamptz DEFAULT '-infinity')
RETURNS integer
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT count(*) FILTER (WHERE r.gate IS NULL AND r.started_at >= unregistered_running.since)::integer
    FROM contentq.unregistered_holders() AS h (id)
    CROSS JOIN LATERAL (
        -- A range and an order that only the index on worker_id has; = would allow any index.
        SELECT t.gate, t.started_at
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN h.id AND h.id
          AND t.status = 'processing'
        ORDER BY t.worker_id
        OFFSET 0
    ) AS r;
$$;

COMMENT ON FUNCTION contentq.unregistered_running(timestamptz) IS
    'Internal: how many tasks run that belong to workers which are not registered.';
