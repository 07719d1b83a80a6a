-- Evaluates new reports about a provider and what follows from them for its gate.
-- Called by: fold_gate_events(), gate_wait(), gates_state(). Locks: nothing. Returns: the new row of the gate, not stored.
CREATE OR REPLACE FUNCTION contentq.judge_gate(gate contentq.gates, now_ timestamptz)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    newest constant bigint := (
        SELECT e.id
        FROM contentq.gate_events AS e
        WHERE e.key = (judge_gate.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 1
    );
    totals record;
BEGIN
        -- Without new reports, and unless half open, the stored row is still right.
    IF coalesce(newest <= gate.folded_id, newest IS NULL) AND NOT (gate.half_open AND gate.opens_at <= now_) THEN
        RETURN gate;
    END IF;
    SELECT t.* INTO totals FROM contentq.gate_totals(gate.key) AS t;
    gate := contentq.judge_unanswered(gate, totals.answered, totals.last_answered, now_);
    gate := contentq.judge_refusals(gate, totals.calls, totals.last_answered, now_);
    gate.folded_id := greatest(gate.folded_id, newest);
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.judge_gate(contentq.gates, timestamptz) IS
    'Internal: the row of a gate after new reports about its provider are evaluated.';
