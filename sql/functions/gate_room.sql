-- Says how many tasks a gate lets begin now.
-- Called by: worker_room(). Locks: nothing. Returns: from 0 to wanted; wanted when there is no such gate.
CREATE OR REPLACE FUNCTION contentq.gate_room(key text, wanted integer)
RETURNS integer
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM contentq.gates AS g WHERE g.key = gate_room.key AND g.opens_at > clock_timestamp())
        THEN 0
        ELSE gate_room.wanted
    END;
$$;

COMMENT ON FUNCTION contentq.gate_room(text, integer) IS 'Internal: how many tasks a gate lets begin now.';
