-- Judges whether a cut of a gate's pace has made a difference to what its provider refuses.
-- Called by: judge_refusals(), spend_gate(), while the gate has a cut_share. Locks: nothing.
-- Returns: 'goes on' until eight refusals are to be expected, or were there; then 'real' when there were hardly any: the limit
--          is one of the pace; 'noise' when there were about as many; 'other' when there were many more.
-- The share before the cut is likely to be too high, since it has caused the cut: as many means at least a fifth.
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
    'Internal: whether a cut of a gate''s pace has made a difference to what its provider refuses.';
