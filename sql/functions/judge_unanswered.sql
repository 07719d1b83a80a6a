-- Evaluates what unanswered calls mean for a gate: an outage closes it, and the first answered task of the fleet opens it.
-- Called by: judge_gate(). Locks: nothing. Returns: the new row of the gate, not stored.
--
-- The gate stays closed for a quarter of the time that the outage has lasted, from 1 to 30 seconds, with 10 % jitter; then
-- one task tries. So a short outage ends soon. An answer opens the gate; a refusal also does, because the provider
-- responds. A task that has run for 5 seconds counts as answered. A gate that is half open for another reason opens when a
-- task is not refused.
CREATE OR REPLACE FUNCTION contentq.judge_unanswered(
    gate contentq.gates,
    answered bigint,
    last_answered timestamptz,
    now_ timestamptz
)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    shortest constant float8 := 1;
    longest constant float8 := 30;
    share constant float8 := 0.25;
    patience constant interval := interval '5 seconds';
    latest contentq.gate_events;
    began timestamptz;
BEGIN
    IF gate.half_open AND gate.opens_at > now_ THEN
        RETURN gate;
    END IF;
    SELECT e.*
    INTO latest
    FROM contentq.gate_events AS e
    WHERE e.key = gate.key
      AND e.id > gate.folded_id
      AND (e.kind = 'unanswered' OR gate.half_open)
      AND e.began_at >= gate.opens_at
    ORDER BY e.key DESC, e.id DESC
    LIMIT 1;
    IF gate.half_open THEN
        IF judge_unanswered.last_answered >= gate.opens_at
            OR latest.kind <> 'unanswered' AND gate.outage_since IS NOT NULL
            OR contentq.gate_running(gate.key, gate.opens_at, now_ - patience) > 0
        THEN
            gate.half_open := false;
            gate.outage_since := NULL;
            RETURN gate;
        END IF;
        began := CASE WHEN latest.kind = 'unanswered' THEN coalesce(gate.outage_since, latest.at) END;
    ELSIF latest.id IS NOT NULL THEN
        began := contentq.gate_outage(gate, judge_unanswered.answered, judge_unanswered.last_answered, now_);
    END IF;
    IF began IS NOT NULL THEN
        gate.outage_since := began;
        gate.half_open := true;
        gate.opens_at := now_ + make_interval(secs => greatest(
            least(longest, greatest(shortest, share * extract(epoch FROM now_ - began))) * (0.9 + 0.2 * random()),
            least(longest, coalesce(extract(epoch FROM latest.until - now_), 0))
        ));
        gate.reason := latest.message;
        gate.closed_at := now_;
        gate.closed_by := 'contentq';
    END IF;
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.judge_unanswered(contentq.gates, bigint, timestamptz, timestamptz) IS
    'Internal: closes a gate whose provider does not answer, and opens it when the provider answers again.';
