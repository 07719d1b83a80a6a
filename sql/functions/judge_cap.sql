-- Evaluates what refused calls mean for the learned cap of a gate.
-- Called by: judge_refusals(). Locks: nothing. Returns: the new row of the gate, not stored.
-- refused, claimed: attempts that were refused, and tasks that were claimed, since the first refusal of the last cycle.
-- is_excess: whether so many are more than chance.
--
-- A provider that limits the calls at once refuses the first tasks of a trial's step. If several were accepted, it limits
-- something else, such as the calls of a second, and the gate learns a pace again.
--
-- In a trial (see try_cap()), an early refusal leaves the number that ran before as the cap, and the second one in a row
-- confirms it; the next trial comes after two cycles. A provider that refused for a moment only accepts the repeated step.
-- Refusals at other times show that the provider limits something else, or allows less than before: the gate learns a pace
-- again.
CREATE OR REPLACE FUNCTION contentq.judge_cap(
    gate contentq.gates,
    calls bigint,
    refused bigint,
    claimed float8,
    is_excess boolean,
    now_ timestamptz
)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- As in gate_cap().
    step constant integer := ceil(0.03 * gate.cap);
BEGIN
    IF contentq.gate_cap(gate) > gate.cap AND calls - gate.cut_calls > 3 + 2 * step THEN
        gate := contentq.end_cap(gate, calls, false, now_);
    ELSIF contentq.gate_cap(gate) > gate.cap THEN
        -- An operator's limit may have cut the step short.
        gate.cap := greatest(gate.cap, contentq.gate_cap(gate) - step);
        gate.grown := CASE WHEN gate.cap_was_refused THEN 0 ELSE 2 * contentq.gate_cycle(gate.peak) - 0.6 END;
        gate.cap_is_known := gate.cap_is_known OR gate.cap_was_refused;
        gate.cap_was_refused := NOT gate.cap_was_refused;
        gate.cut_at := now_;
        gate.cut_calls := calls;
    ELSIF is_excess OR refused >= 4 AND refused >= 0.5 * claimed THEN
        gate := contentq.end_cap(gate, calls, false, now_);
    END IF;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.judge_cap(contentq.gates, bigint, bigint, float8, boolean, timestamptz) IS
    'Internal: the row of a gate with a learned cap after refused calls are evaluated.';
