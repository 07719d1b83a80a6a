-- Formats until when and why a gate is closed, for a sentence that names the gate.
-- Called by: gate_state(). Locks: nothing. Returns: " until ...; reason: ...".
CREATE OR REPLACE FUNCTION contentq.gate_closure_text(gate contentq.gates)
RETURNS text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
               WHEN gate_closure_text.gate.opens_at = 'infinity'
               THEN format(', until someone opens it: SELECT contentq.open_gate(%L)', gate_closure_text.gate.key)
               ELSE format(' until %s', date_trunc('second', gate_closure_text.gate.opens_at))
           END
           || coalesce('; reason: ' || gate_closure_text.gate.reason, '');
$$;

COMMENT ON FUNCTION contentq.gate_closure_text(contentq.gates) IS
    'Internal: until when and why a gate is closed, as text.';
