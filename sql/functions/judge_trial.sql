-- Judges whether a cut of a gate's pace changed what its provider refuses.
-- Called by: judge_refusals(), spend_gate(), while the gate has a cut_share. Locks: nothing.
-- calls: the tasks that the gate's workers have claimed.
-- Returns: 'goes on' until eight refusals are expected or have come; then 'real' if hardly any came: the limit depends on
--          the pace;
--          'noise' if about as many came as expected; 'other' if many more came.
-- The share before the cut is probably too high, because it caused the cut: a fifth of the expected number counts as many.
-- Refusals within a second of the cut may be its echo (see judge_refusals()). They do not count, nor do the calls.
CREATE OR REPLACE FUNCTION contentq.judge_trial(gate contentq.gates, calls bigint, now_ timestamptz)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    echo constant float8 := 1;
    enough constant float8 := 8;
    most_noise constant float8 := 0.2;
    seconds constant float8 := extract(epoch FROM now_ - gate.cut_at);
    refused constant bigint := (
        SELECT r.refused FROM contentq.gate_refusals(gate, gate.cut_at + make_interval(secs => echo), now_) AS r
    );
    claimed constant float8 := greatest(
        refused, (judge_trial.calls - gate.cut_calls) * greatest(0, 1 - echo / greatest(seconds, echo))
    );
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

COMMENT ON FUNCTION contentq.judge_trial(contentq.gates, bigint, timestamptz) IS
    'Internal: whether a cut of a gate''s pace changed what its provider refuses.';
