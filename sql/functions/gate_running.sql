-- Counts the running tasks of a gate: those of its workers, and those that have entered it by themselves, of workers with
-- several gates; of all workers for the gate *.
-- Called by: gate_state(), under the lock of the gate's row when it matters, and by what judges a gate.
-- Locks: nothing. Returns: how many began between these times.
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
    FROM contentq.workers AS w
    CROSS JOIN LATERAL (
        -- A range, which only the index on the holders of tasks serves; = would make any index do.
        SELECT count(*) AS running
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN w.id AND w.id
          AND t.status = 'processing'
          AND t.started_at BETWEEN gate_running.since AND gate_running.until
    ) AS r
    WHERE w.gate = gate_running.key
       OR gate_running.key = '*';
$$;

COMMENT ON FUNCTION contentq.gate_running(text, timestamptz, timestamptz) IS
    'Internal: how many tasks of a gate''s workers are running that began between these times.';
