-- Computes how many of the wanted tasks a worker with several gates may claim now.
-- Called by: worker_room(). Locks: the rows of gates with limits; it skips rows that other sessions have locked, so it
--            never waits.
-- It folds new reports into them. It locks nothing if one of the gates has no limit.
-- Returns: the number; 0 if none may be claimed (gates_state() tells how long and why); -1 if another session has locked a
--          row, so that a retry in a moment may succeed.
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
    'Internal: how many of the wanted tasks a worker with several gates may claim now.';
