-- Takes tasks that begin from what a gate allows.
-- Called by: note_calls(). Locks: nothing. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.spend_gate(key text, taken integer)
RETURNS void
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
$$;

COMMENT ON FUNCTION contentq.spend_gate(text, integer) IS 'Internal: takes tasks that begin from what a gate allows.';
