-- Checks after a cut whether a provider limits the tasks at once rather than their rate.
-- Called by: judge_refusals(), with the gate as it is after the cut. Locks: nothing. Returns: the new row, not stored.
-- is_later: whether a pace limited the gate before, and the cut is no echo of the last one, when the same tasks ran.
-- refused_at: when the newest refused attempt began.
--
-- It may if the provider refused at the same number of running tasks in two cuts in a row, and no more ran in between. The
-- gate then has this cap in place of a pace. After a cycle, a trial shows whether it is right (see try_cap()). If not, the
-- cut counts as usual, and the next try comes a minute later at the earliest.
CREATE OR REPLACE FUNCTION contentq.learn_cap(
    gate contentq.gates,
    is_later boolean,
    refused_at timestamptz,
    now_ timestamptz
)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    running constant integer := contentq.gate_running(gate.key, '-infinity', refused_at - interval '1 microsecond');
    -- Tasks whose end is not reported yet still count as running.
    about constant float8 := greatest(1, 0.08 * running);
BEGIN
    IF is_later
        AND running > 0
        AND abs(running - gate.cut_running) <= about
        AND gate.most_running <= running + about
        AND gate.cap_tried_at <= now_ - interval '1 minute'
    THEN
        gate.cap := running;
        gate.cap_is_known := false;
        gate.grown := contentq.gate_cycle(gate.peak);
        gate.cut_share := NULL;
        gate.is_ramping := false;
    END IF;
    gate.cut_running := running;
    gate.most_running := 0;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.learn_cap(contentq.gates, boolean, timestamptz, timestamptz) IS
    'Internal: the row of a gate after a cut, with a cap if its provider seems to limit the tasks at once.';
