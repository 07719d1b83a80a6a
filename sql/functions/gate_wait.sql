-- Computes what a gate makes its workers wait for now.
-- Called by: worker_wait(), workers_wait(), explain_workers(), enter_gate(). Locks: nothing.
-- unregistered: as for gate_state().
-- Returns: a row with the time until a task may start (NULL: not known) and the reason; no row if a task may start.
CREATE OR REPLACE FUNCTION contentq.gate_wait(
    key text,
    now_ timestamptz DEFAULT clock_timestamp(),
    unregistered integer DEFAULT NULL
)
RETURNS TABLE (next_in interval, why text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.next_in, format('gate %s: %s', g.key, s.why)
    FROM contentq.gates AS g
    -- As the next claim will find it: reports since the last claim count.
    CROSS JOIN LATERAL contentq.gate_state(
        contentq.judge_gate(g, gate_wait.now_), gate_wait.now_, gate_wait.unregistered
    ) AS s
    WHERE g.key = gate_wait.key
      AND s.room < 1;
$$;

COMMENT ON FUNCTION contentq.gate_wait(text, timestamptz, integer) IS
    'Internal: what a gate makes its workers wait for, and how long; no row if a task may start.';
