-- How many of so many tasks a worker with several gates may claim now.
-- Called by: worker_room(). Locks: the rows of those gates that limit something, skipping what others have locked (so it never
-- waits); what was reported of them is folded into them. Nothing when one of them lets any number begin.
-- Returns: 0 when none may: gates_state() says how long and why. -1 when another session has a row: it is worth asking again in
--          a moment.
CREATE OR REPLACE FUNCTION contentq.gates_room(
    gates text[],
    wanted integer,
    now_ timestamptz DEFAULT clock_timestamp()
)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    unlimited constant integer := 2147483647;
    each text;
    here integer;
    is_taken boolean := false;
BEGIN
    IF EXISTS (
        SELECT
        FROM unnest(gates_room.gates) AS k (key)
        LEFT JOIN contentq.gates AS g ON g.key = k.key
        WHERE g.key IS NULL
           OR contentq.gate_is_free(g, now_)
    ) THEN
        RETURN wanted;
    END IF;
    FOREACH each IN ARRAY gates_room.gates LOOP
        here := contentq.gate_room(each, unlimited, now_);
        IF here = unlimited THEN
            RETURN wanted;
        END IF;
        is_taken := is_taken OR here < 0;
    END LOOP;
    IF is_taken THEN
        RETURN -1;
    END IF;
    RETURN (SELECT least(wanted, s.room) FROM contentq.gates_state(gates_room.gates, now_) AS s);
END;
$$;

COMMENT ON FUNCTION contentq.gates_room(text[], integer, timestamptz) IS
    'Internal: how many of so many tasks a worker with several gates may claim now.';
