-- Lists what keeps a worker from starting a task: its own state, its gate or gates, or the gate *.
-- Called by: next_claim_in(), waits_for(), explain_fleet(). Locks: nothing.
-- Returns: a row for each reason: the time until it may end (NULL: not known), and why; no rows if the worker may start a
--          task.
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
    'Internal: what keeps a worker from starting a task: for how long (NULL: not known), and why; no rows for nothing.';
