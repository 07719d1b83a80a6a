-- How many tasks may be claimed now for one of several gates, and what is in the way.
-- Called by: gates_room(), worker_wait(). Locks: nothing. Returns: room; when there is none, next_in, the time until there may
-- be (NULL: not known) and why, in words.
-- Each task enters a gate by itself, a moment after its claim (see enter_gate()): what is claimed here is no more than what all
-- of them together let begin, less those that are about to enter. Those whose turn at a gate comes in a moment are claimed
-- before it, so that they are at the door in time: else each turn would come late by the time that a claim takes.
CREATE OR REPLACE FUNCTION contentq.gates_state(
    gates text[],
    now_ timestamptz DEFAULT clock_timestamp(),
    OUT room integer,
    OUT next_in interval,
    OUT why text
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    unlimited constant bigint := 2147483647;
    early constant interval := interval '100 milliseconds';
    soonest constant interval := interval '20 milliseconds';
    found_ record;
    waiting integer;
BEGIN
    SELECT sum(CASE WHEN g.key IS NULL THEN unlimited
                    WHEN s.room < 1 AND coalesce(s.next_in > early, true) THEN 0
                    -- Those whose turns come meanwhile; where a number is counted, or one task tries, none.
                    WHEN j.max_running IS NULL AND NOT j.half_open
                    THEN greatest(s.room, 1) + floor(coalesce(contentq.gate_pace(j), 0) * extract(epoch FROM early))::bigint
                    ELSE greatest(s.room, 1) END) AS room,
           min(s.next_in) FILTER (WHERE s.room < 1) AS next_in,
           string_agg(format('gate %s: %s', g.key, s.why), '; ' ORDER BY k.place) FILTER (WHERE s.room < 1) AS why
    INTO found_
    FROM unnest(gates_state.gates) WITH ORDINALITY AS k (key, place)
    LEFT JOIN contentq.gates AS g ON g.key = k.key
    -- As the next one to enter finds it: what was reported since the last one counts.
    LEFT JOIN LATERAL contentq.judge_gate(g, gates_state.now_) AS j ON g.key IS NOT NULL
    LEFT JOIN LATERAL contentq.gate_state(j, gates_state.now_) AS s ON g.key IS NOT NULL;

    IF found_.room >= unlimited THEN
        room := unlimited;
        RETURN;
    ELSIF found_.room < 1 THEN
        room := 0;
        next_in := greatest(found_.next_in - early, soonest);
        why := found_.why;
        RETURN;
    END IF;
    waiting := contentq.at_the_door(gates_state.gates);
    room := greatest(0, found_.room - waiting);
    IF room < 1 THEN
        -- The next one may be claimed when those at the door have had their turns.
        next_in := coalesce(found_.next_in, interval '0') + soonest;
        why := format('gates %s: %s about to enter', array_to_string(gates_state.gates, ', '), waiting);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.gates_state(text[], timestamptz) IS
    'Internal: how many tasks may be claimed now for one of several gates, and if none, how long until one may, and why.';
