-- Finds out what was reported of a provider since the last time, and writes what follows into the gate's row.
-- Called by: gate_room(), which has locked the row. Locks: nothing more. Returns: the row as it is now.
CREATE OR REPLACE FUNCTION contentq.fold_gate_events(gate contentq.gates, now_ timestamptz)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    totals record;
    folded contentq.gates;
BEGIN
    SELECT t.* INTO totals FROM contentq.gate_totals(gate.key) AS t;
    folded := contentq.judge_unanswered(gate, totals.answered, totals.last_answered, now_);
    folded := contentq.judge_refusals(folded, totals.calls, totals.last_answered, now_);
    folded.folded_id := greatest(gate.folded_id, (
        SELECT e.id
        FROM contentq.gate_events AS e
        WHERE e.key = gate.key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 1
    ));
    UPDATE contentq.gates AS g
    SET opens_at = folded.opens_at,
        reason = folded.reason,
        half_open = folded.half_open,
        closed_at = folded.closed_at,
        closed_by = folded.closed_by,
        peak = folded.peak,
        grown = folded.grown,
        is_ramping = folded.is_ramping,
        cut_at = folded.cut_at,
        cut_calls = folded.cut_calls,
        cut_from = folded.cut_from,
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
    'Internal: finds out what was reported of a provider, and writes what follows into the row of its gate.';
