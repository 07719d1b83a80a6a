-- Computes how many of the wanted tasks may start now at a gate.
-- Called by: worker_room(), before a claim chooses, for the gate of the worker and for the gate *.
-- Locks: nothing if the gate is free and has no new reports. Otherwise the row of the gate; if another session has locked
--        it, claims skip it, so they never wait. New reports are folded into the row first.
-- Returns: the number; 0 if none may start (gate_wait() tells how long and why); -1 if another session has locked the row,
--          so that a retry in a moment may succeed.
CREATE OR REPLACE FUNCTION contentq.gate_room(
    key text,
    wanted integer,
    now_ timestamptz DEFAULT clock_timestamp()
)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    gate contentq.gates;
    newest constant bigint := (
        SELECT e.id
        FROM contentq.gate_events AS e
        WHERE e.key = gate_room.key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 1
    );
    is_free boolean;
    folded_id bigint;
BEGIN
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = gate_room.key;
    folded_id := coalesce(gate.folded_id, 0);
    is_free := gate.key IS NULL OR contentq.gate_is_free(gate, now_);
    IF is_free AND coalesce(newest <= gate.folded_id, newest IS NULL) THEN
        RETURN wanted;
    ELSIF gate.key IS NULL THEN
        PERFORM contentq.add_gate(gate_room.key);
    END IF;

    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = gate_room.key FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        -- The session that has locked a free gate is folding its reports. An exhausted provider must be known before more
        -- starts.
        RETURN CASE
            WHEN is_free AND NOT EXISTS (SELECT
                                         FROM contentq.gate_events AS e
                                         WHERE e.key = gate_room.key
                                           AND e.id > folded_id
                                           AND e.kind = 'exhausted')
            THEN wanted
            ELSE -1
        END;
    END IF;
    IF newest > gate.folded_id OR gate.half_open AND gate.opens_at <= now_ THEN
        gate := contentq.fold_gate_events(gate, now_);
    END IF;
    RETURN (SELECT least(wanted, s.room) FROM contentq.gate_state(gate, now_) AS s);
END;
$$;

COMMENT ON FUNCTION contentq.gate_room(text, integer, timestamptz) IS
    'Internal: how many of the wanted tasks may start now at a gate.';
