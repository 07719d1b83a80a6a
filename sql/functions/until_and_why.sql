-- Says until when a gate is closed and why, for a sentence that names the gate.
-- Called by: explain(). Locks: nothing. Returns: " until …: reason".
CREATE OR REPLACE FUNCTION contentq.until_and_why(gate contentq.gates)
RETURNS text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
               WHEN until_and_why.gate.resume_at = 'infinity'
               THEN format(', until someone opens it: SELECT contentq.open_gate(%L)', until_and_why.gate.key)
               ELSE format(' until %s', date_trunc('second', until_and_why.gate.resume_at))
           END
           || coalesce('; the reason: ' || until_and_why.gate.reason, '');
$$;

COMMENT ON FUNCTION contentq.until_and_why(contentq.gates) IS
    'Internal: until when a gate is closed and why, in words.';
