-- Takes the tasks of a claim from the bucket of a gate.
-- Called by: note_calls(), after gate_room() has locked the row or found the gate free.
-- Locks: the row of the gate. If another session has locked it, as when tasks are claimed by id, nothing is taken.
-- Returns: nothing. The learned pace grows as long as it is the limit, that is, when all that it allowed was taken. A learned
-- cap that was the limit for long enough gets a trial (see try_cap()).
CREATE OR REPLACE FUNCTION contentq.spend_gate(
    key text,
    taken integer,
    now_ timestamptz DEFAULT clock_timestamp()
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    gate contentq.gates;
    state record;
    pace float8;
    running integer;
    cap integer;
    is_limit boolean;
    limited float8 := 0;
BEGIN
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = spend_gate.key;
    IF NOT FOUND OR taken < 1 OR contentq.gate_is_free(gate, now_) THEN
        RETURN;
    END IF;
    pace := contentq.gate_pace(gate);
    IF pace IS NULL AND gate.tokens_per_minute IS NULL AND gate.cap IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM contentq.gates AS g WHERE g.key = spend_gate.key FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT s.* INTO state FROM contentq.gate_state(gate, now_) AS s;
    running := contentq.gate_running(gate.key);
    IF gate.cap IS NULL THEN
        gate.most_running := greatest(gate.most_running, running);
        is_limit := taken >= floor(state.level + 1e-6) AND pace < coalesce(gate.requests_per_minute::float8 / 60, 'infinity');
    ELSE
        cap := contentq.gate_cap(gate);
        is_limit := cap < coalesce(gate.max_running, 2147483647) AND running + taken >= cap;
    END IF;
    IF is_limit AND isfinite(gate.spent_at) THEN
        -- Excludes time in which nothing started, for example while the database was down.
        limited := least(
            extract(epoch FROM now_ - greatest(gate.spent_at, gate.opens_at)), greatest(1, 2 / coalesce(pace, gate.peak))
        );
    END IF;
    IF gate.cap IS NULL THEN
        gate.grown := gate.grown + limited;
    ELSE
        gate := contentq.try_cap(gate, limited, now_);
    END IF;
    IF gate.cut_share IS NOT NULL AND contentq.gate_pace(gate) > gate.peak THEN
        -- A trial also ends when nothing is refused any more and enough is known.
        IF contentq.judge_trial(gate, (SELECT t.calls FROM contentq.gate_totals(gate.key) AS t), now_) = 'real' THEN
            gate := contentq.end_trial(gate, now_);
        ELSE
            gate.grown := 0.08 / 0.09 * contentq.gate_cycle(gate.peak);
        END IF;
    END IF;
    UPDATE contentq.gates AS g
    SET level = greatest(0, coalesce(state.level, 1) - taken),
        grown = gate.grown,
        peak = gate.peak,
        cap = gate.cap,
        cap_is_known = gate.cap_is_known,
        cap_was_refused = gate.cap_was_refused,
        cap_tried_at = gate.cap_tried_at,
        cut_running = gate.cut_running,
        most_running = gate.most_running,
        cut_at = gate.cut_at,
        cut_calls = gate.cut_calls,
        cut_share = gate.cut_share,
        noise = gate.noise,
        noise_at = gate.noise_at,
        tokens_left = state.tokens_left,
        tokens_seen = coalesce(state.tokens_used, 0),
        spent_at = now_
    WHERE g.key = spend_gate.key;
END;
$$;

COMMENT ON FUNCTION contentq.spend_gate(text, integer, timestamptz) IS
    'Internal: takes the tasks of a claim from the bucket of a gate.';
