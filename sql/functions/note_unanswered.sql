-- Records that the provider of a gate did not answer a call, and computes how long the task waits in an outage.
-- Called by: fail(). Locks: no existing row. Returns: the delay of the retry; retry_after unchanged without an outage or a
--            gate. The row of the gate is only read: this function and the next claim judge an outage by the same rule.
CREATE OR REPLACE FUNCTION contentq.note_unanswered(
    key text,
    began_at timestamptz,
    retry_count integer,
    retry_after interval,
    message text
)
RETURNS interval
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    spread constant interval := interval '10 seconds';
    now_ constant timestamptz := clock_timestamp();
    gate contentq.gates;
    totals record;
BEGIN
    IF note_unanswered.key IS NULL OR note_unanswered.key = '*' THEN
        RETURN retry_after;
    END IF;
    PERFORM contentq.note_gate_event(
        note_unanswered.key, note_unanswered.began_at, 'unanswered', now_ + retry_after, note_unanswered.message
    );
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = note_unanswered.key;
    gate.key := note_unanswered.key;
    gate.opens_at := coalesce(gate.opens_at, '-infinity');
    IF NOT coalesce(gate.half_open, false) THEN
        SELECT t.* INTO totals FROM contentq.gate_totals(note_unanswered.key) AS t;
        IF contentq.gate_outage(gate, totals.answered, totals.last_answered, now_) IS NULL THEN
            RETURN retry_after;
        END IF;
    END IF;
    RETURN greatest(
        note_unanswered.retry_after,
        least(greatest(gate.opens_at, now_ + interval '1 second'), now_ + interval '1 minute') - now_
        + spread * (note_unanswered.retry_count + 1) * (0.5 + 0.5 * random())
    );
END;
$$;

COMMENT ON FUNCTION contentq.note_unanswered(text, timestamptz, integer, interval, text) IS
    'Internal: records that a provider did not answer a call; returns the delay of the retry.';
