-- Writes new reports about a provider, and what follows from them, into the row of its gate (see judge_gate()).
-- Called by: gate_room(), which has locked the row. Locks: nothing more. Returns: the updated row.
CREATE OR REPLACE FUNCTION contentq.fold_gate_events(gate contentq.gates, now_ timestamptz)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    folded constant contentq.gates := contentq.judge_gate(gate, now_);
BEGIN
    UPDATE contentq.gates AS g
    SET opens_at = folded.opens_at,
        reason = folded.reason,
        half_open = folded.half_open,
        closed_at = folded.closed_at,
        closed_by = folded.closed_by,
        peak = folded.peak,
        grown = folded.grown,
        is_ramping = folded.is_ramping,
        cap = folded.cap,
        cap_is_known = folded.cap_is_known,
        cap_was_refused = folded.cap_was_refused,
        cap_tried_at = folded.cap_tried_at,
        cut_at = folded.cut_at,
        cut_calls = folded.cut_calls,
        cut_from = folded.cut_from,
        cut_running = folded.cut_running,
        most_running = folded.most_running,
        cut_share = folded.cut_share,
        cut_twice = folded.cut_twice,
        noise = folded.noise,
        noise_at = folded.noise_at,
        outage_since = folded.outage_since,
        level = folded.level,
        folded_id = folded.folded_id
    WHERE g.key = gate.key;
    RETURN folded;
END;
$$;

COMMENT ON FUNCTION contentq.fold_gate_events(contentq.gates, timestamptz) IS
    'Internal: writes new reports about a provider, and what follows from them, into the row of its gate.';
