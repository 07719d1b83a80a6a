-- Counts the running tasks of a gate: those of its workers, and those of workers with several gates that have entered it.
-- For the gate *, it counts the running tasks of all workers.
-- Called by: gate_state(), under the lock of the row of the gate when exactness matters, and the functions that judge a
--            gate.
-- Locks: nothing. Returns: how many of them began between these times.
CREATE OR REPLACE FUNCTION contentq.gate_running(
    key text,
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity'
)
RETURNS integer
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    SELECT coalesce(sum(r.running), 0)::integer + (
        SELECT count(*)::integer
        FROM public.content_generation_tasks AS t
        WHERE t.gate = gate_running.key
          AND t.status || '' = 'processing'
          AND t.gate_entered_at BETWEEN gate_running.since AND gate_running.until
    )
    FROM (
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.gate = gate_running.key
        UNION ALL
        SELECT w.id
        FROM contentq.workers AS w
        WHERE gate_running.key = '*'
          AND w.gate IS DISTINCT FROM '*'
    ) AS w
    CROSS JOIN LATERAL (
        -- A range, which only the index on worker_id serves; = would allow any index.
        SELECT count(*) AS running
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN w.id AND w.id
          AND t.status = 'processing'
          AND t.started_at BETWEEN gate_running.since AND gate_running.until
    ) AS r;
$$;

COMMENT ON FUNCTION contentq.gate_running(text, timestamptz, timestamptz) IS
    'Internal: how many running tasks of a gate began between these times.';
