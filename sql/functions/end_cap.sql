-- Returns from a learned cap to a pace.
-- Called by: judge_cap(), and try_cap() after a trial in which nothing was refused. Locks: nothing.
-- Returns: the new row of the gate, not stored.
-- is_raised: whether the provider allows more than the cap. Then a known cap means that it was raised, and the pace grows from
-- above the rate of the tasks that run. Otherwise it is cut. A cap that was never confirmed leaves the pace as it was cut.
-- A cap that was confirmed may be learned again at once, unless it was raised.
CREATE OR REPLACE FUNCTION contentq.end_cap(
    gate contentq.gates,
    calls bigint,
    is_raised boolean,
    now_ timestamptz
)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF is_raised OR NOT gate.cap_is_known THEN
        gate.cap_tried_at := now_;
    END IF;
    gate.grown := 0;
    IF gate.cap_is_known THEN
        gate.peak := greatest(
            0.01,
            (calls - gate.cut_calls - contentq.gate_refused(gate)) / greatest(1, extract(epoch FROM now_ - gate.cut_at)),
            contentq.gate_rate(gate.key, now_),
            contentq.gate_running(gate.key, now_ - interval '1050 milliseconds', now_ - interval '50 milliseconds')
        );
        gate.grown := CASE WHEN is_raised THEN 2 * contentq.gate_cycle(gate.peak) ELSE 0 END;
    END IF;
    gate.cap := NULL;
    gate.cap_is_known := false;
    gate.cap_was_refused := false;
    gate.cut_running := NULL;
    gate.cut_at := now_;
    gate.cut_calls := calls;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.end_cap(contentq.gates, bigint, boolean, timestamptz) IS
    'Internal: the row of a gate whose provider does not limit the tasks at once, or no longer to the learned cap.';
