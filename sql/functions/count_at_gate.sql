-- Adds to the counts of a worker with several gates at one of its gates.
-- Called by: enter_gate(), leave_gate(), note_gate_answers().
-- Locks: a row of gate_counts; it skips rows that other sessions have locked, so it never waits. If no row of the worker
--        and gate is free, it adds one. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.count_at_gate(
    worker_id bigint,
    gate text,
    calls bigint,
    answered bigint,
    last_answered timestamptz,
    tokens numeric
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- greatest() ignores NULL.
    UPDATE contentq.gate_counts AS c
    SET calls = c.calls + count_at_gate.calls,
        answered = c.answered + count_at_gate.answered,
        last_answered = greatest(c.last_answered, count_at_gate.last_answered),
        tokens = c.tokens + count_at_gate.tokens
    WHERE c.id = (SELECT l.id
                  FROM contentq.gate_counts AS l
                  WHERE l.gate = count_at_gate.gate
                    AND l.worker_id = count_at_gate.worker_id
                  LIMIT 1
                  FOR NO KEY UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO contentq.gate_counts (worker_id, gate, calls, answered, last_answered, tokens)
        VALUES (count_at_gate.worker_id, count_at_gate.gate, count_at_gate.calls, count_at_gate.answered,
                count_at_gate.last_answered, count_at_gate.tokens);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.count_at_gate(bigint, text, bigint, bigint, timestamptz, numeric) IS
    'Internal: adds to the counts of a worker with several gates at one of its gates.';
