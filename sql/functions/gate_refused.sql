-- Counts the refusals of attempts that began after the last cut of a gate.
-- Called by: judge_refusals(), spend_gate(). Locks: nothing. Returns: the number, from the last ten minutes at most.
CREATE OR REPLACE FUNCTION contentq.gate_refused(gate contentq.gates)
RETURNS bigint
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*)
    FROM contentq.gate_events AS e
    WHERE e.key = (gate_refused.gate).key
      AND e.kind <> 'unanswered'
      AND e.began_at >= (gate_refused.gate).cut_at;
$$;

COMMENT ON FUNCTION contentq.gate_refused(contentq.gates) IS
    'Internal: how many attempts that began after the last cut of a gate were refused.';
