-- Adds the row of a gate after the first report about its provider.
-- Called by: gate_room(). Locks: no existing row. Returns: nothing.
-- Another session may be adding the same row in a long transaction: then the next claim tries again.
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
    'Internal: adds the row of a gate, unless another session is adding it.';
