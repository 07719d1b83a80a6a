-- Notes that a provider's refusals depend on the pace. One that was cut a second time goes back nearly
-- all of the way.
-- Called by: judge_refusals(), spend_gate(). Locks: nothing. Returns: the gate's row as it is to be.
CREATE OR REPLACE FUNCTION contentq.end_trial(gate contentq.gates, now_ timestamptz)
RETURNS contentq.gates
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    gate.cut_share := NULL;
    gate.noise := 0;
    gate.noise_at := now_;
    IF gate.cut_twice THEN
        gate.peak := 0.95 / 0.75 * gate.peak;
        gate.grown := 0;
    END IF;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.end_trial(contentq.gates, timestamptz) IS
    'Internal: notes that a provider''s refusals depend on the pace.';
