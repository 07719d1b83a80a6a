-- Says what keeps a worker from beginning a task: itself, its gate or gates, or the gate of all.
-- Called by: next_claim_in(), waits_for(), explain(). Locks: nothing.
-- Returns: a row for each reason: the time until it may be over (NULL when nobody knows), and why; none when it may begin.
CREATE OR REPLACE FUNCTION contentq.worker_wait(worker contentq.workers)
RETURNS TABLE (next_in interval, why text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
    SELECT g.next_in, g.why
    FROM contentq.gate_wait('*') AS g
    UNION ALL
    SELECT g.next_in, g.why
    FROM contentq.gate_wait(worker.gate) AS g
    UNION ALL
    SELECT s.next_in, s.why
    FROM contentq.gates_state(worker.gates) AS s
    WHERE worker.gates IS NOT NULL
      AND s.room < 1
    UNION ALL
    SELECT o.next_in, o.why
    FROM contentq.own_wait(worker) AS o;
$$;

COMMENT ON FUNCTION contentq.worker_wait(contentq.workers) IS
    'Internal: what keeps a worker from beginning a task: for how long (NULL: nobody knows), and why; no row when nothing.';
