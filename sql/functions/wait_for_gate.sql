-- Waits a moment for the row of a gate that another session has locked, then checks whether a task may start there.
-- Called by: enter_gate(), which has locked no other gate. Locks: the row of the gate, for which it waits at most 50
--            milliseconds.
-- Returns: as gate_room(), for one task.
CREATE OR REPLACE FUNCTION contentq.wait_for_gate(key text)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM contentq.gates AS g WHERE g.key = wait_for_gate.key FOR NO KEY UPDATE;
    RETURN contentq.gate_room(wait_for_gate.key, 1);
EXCEPTION
    WHEN lock_not_available THEN
        RETURN -1;
END;
$$;

COMMENT ON FUNCTION contentq.wait_for_gate(text) IS
    'Internal: waits a moment for the row of a gate; returns whether a task may start there, as gate_room().';
