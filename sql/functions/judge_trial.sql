-- Judges whether a cut of a gate's pace changed what its provider refuses.
-- Called by: judge_refusals(), spend_gate(), while the gate has a cut_share. Locks: nothing.
-- Returns: 'goes on' until eight refusals are expected or have come; then 'real' if hardly any came: the limit depends on
--          the pace;
--          'noise' if about as many came as expected; 'other' if many more came.
-- The share before the cut is probably too high, because it caused the cut: a fifth of the expected number counts as many.
CREATE OR REPLACE FUNCTION contentq.judge_trial(gate contentq.gates, claimed float8, refused float8)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    enough constant float8 := 8;
    most_noise constant float8 := 0.2;
    expected constant float8 := gate.cut_share * claimed;
BEGIN
    RETURN CASE
        WHEN expected < enough AND refused < enough THEN 'goes on'
        WHEN refused < 0.2 * expected THEN 'real'
        WHEN refused <= 2 * expected + 4 AND refused <= most_noise * claimed THEN 'noise'
        ELSE 'other'
    END;
END;
$$;

COMMENT ON FUNCTION contentq.judge_trial(contentq.gates, float8, float8) IS
    'Internal: whether a cut of a gate''s pace changed what its provider refuses.';
