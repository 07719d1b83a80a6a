-- Records that the refusals of a provider depend on the pace. A pace that was cut twice returns nearly to the value after
-- the first cut.
-- Called by: judge_refusals(), spend_gate(). Locks: nothing. Returns: the new row of the gate, not stored.
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
        gate.peak := 0.92 / 0.75 * gate.peak;
        gate.grown := 0;
    END IF;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.end_trial(contentq.gates, timestamptz) IS
    'Internal: records that the refusals of a provider depend on the pace.';
