-- Counts the time in which the learned cap of a gate was the limit, and starts and continues trials of it.
-- Called by: spend_gate(). Locks: nothing. Returns: the new row of the gate, not stored.
-- limited: seconds in which the cap was the limit since the last claim.
--
-- A trial takes three steps (see gate_cap()). After a step in which at least three tasks started and none was refused, the next
-- one follows; after the last, the cap is no limit. The first refusal repeats the step 0.6 seconds later, and the second one
-- confirms the cap (see judge_cap()). If the repeated step is not refused, the first refusal had another reason.
CREATE OR REPLACE FUNCTION contentq.try_cap(gate contentq.gates, limited float8, now_ timestamptz)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    step constant float8 := 0.5;
    steps constant integer := 3;
    begins constant float8 := 2 * contentq.gate_cycle(gate.peak);
    before constant integer := floor((gate.grown - begins) / step);
    calls bigint;
BEGIN
    IF floor((gate.grown + limited - begins) / step) = before OR gate.grown + limited < begins THEN
        gate.grown := gate.grown + limited;
        RETURN gate;
    END IF;
    calls := (SELECT t.calls FROM contentq.gate_totals(gate.key) AS t);
    IF before >= 0 AND calls < gate.cut_calls + 3 THEN
        RETURN gate;
    ELSIF before >= 0 AND (gate.cap_was_refused OR before + 1 >= steps) THEN
        RETURN contentq.end_cap(gate, calls, true, now_);
    END IF;
    gate.grown := begins + (greatest(before, -1) + 1) * step;
    gate.cut_at := now_;
    gate.cut_calls := calls;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.try_cap(contentq.gates, float8, timestamptz) IS
    'Internal: the row of a gate with a learned cap after tasks were started: starts and continues trials of the cap.';
