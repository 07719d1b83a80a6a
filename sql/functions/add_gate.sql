-- Adds the row of a gate of which something was reported for the first time.
-- Called by: gate_room(). Locks: nothing that exists. Returns: nothing.
-- Another session may be adding it, in a transaction that goes on: then the next claim tries again.
CREATE OR REPLACE FUNCTION contentq.add_gate(key text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5ms'
AS $$
BEGIN
    INSERT INTO contentq.gates (key) VALUES (add_gate.key) ON CONFLICT DO NOTHING;
EXCEPTION
    WHEN lock_not_available THEN
        NULL;
END;
$$;

COMMENT ON FUNCTION contentq.add_gate(text) IS
    'Internal: adds the row of a gate, unless another session is about to.';
