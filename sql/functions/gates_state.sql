-- Decides how many tasks a worker with several gates may claim now, and what limits them.
-- Called by: gates_room(), worker_wait(), workers_wait(). Locks: nothing.
-- unregistered: as for gate_state().
-- Returns: room; if there is none, next_in (the time until there may be; NULL: not known) and why, as text.
-- Each task enters a gate a moment after its claim (see enter_gate()). A claim gets no more tasks than all gates together
-- allow, minus the tasks that are about to enter. Tasks whose turn at a gate comes within 100 milliseconds are claimed
-- ahead, so that they are ready in time; otherwise each turn would be late by the duration of a claim.
CREATE OR REPLACE FUNCTION contentq.gates_state(
    gates text[],
    now_ timestamptz DEFAULT clock_timestamp(),
    unregistered integer DEFAULT NULL,
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
    SELECT count(*) AS known,
           sum(CASE WHEN s.room < 1 AND coalesce(s.next_in > early, true) THEN 0
                    -- Plus the turns that come meanwhile; none at a gate with max_running or while one task tries.
                    WHEN contentq.gate_cap(j) IS NULL AND NOT j.half_open
                    THEN greatest(s.room, 1) + floor(coalesce(contentq.gate_pace(j), 0) * extract(epoch FROM early))::bigint
                    ELSE greatest(s.room, 1) END) AS room,
           min(s.next_in) FILTER (WHERE s.room < 1) AS next_in,
           string_agg(format('gate %s: %s', g.key, s.why), '; ' ORDER BY k.place) FILTER (WHERE s.room < 1) AS why
    INTO found_
    FROM unnest(gates_state.gates) WITH ORDINALITY AS k (key, place)
    JOIN contentq.gates AS g ON g.key = k.key
    -- As the next task to enter will find it: reports since the last one count.
    CROSS JOIN LATERAL contentq.judge_gate(g, gates_state.now_) AS j
    CROSS JOIN LATERAL contentq.gate_state(j, gates_state.now_, gates_state.unregistered) AS s;

    -- A gate without a row has never limited anything.
    IF found_.known < cardinality(gates_state.gates) OR found_.room >= unlimited THEN
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
        -- The next task may be claimed when those about to enter have had their turns.
        next_in := coalesce(found_.next_in, interval '0') + soonest;
        why := format('gates %s: %s about to enter', array_to_string(gates_state.gates, ', '), waiting);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.gates_state(text[], timestamptz, integer) IS
    'Internal: how many tasks a worker with several gates may claim now; if none, how long until it may, and why.';
