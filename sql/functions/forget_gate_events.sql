-- Deletes reports about providers that are more than ten minutes old; nothing reads older ones.
-- Called by: maintain(). Locks: up to max_rows of these rows; it skips rows that other sessions have locked, so it never
--            waits.
-- Returns: how many it deleted.
CREATE OR REPLACE FUNCTION contentq.forget_gate_events(max_rows integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM contentq.gate_events
    WHERE id = ANY (ARRAY(
        SELECT o.id
        FROM (
            SELECT e.id, e.at
            FROM contentq.gate_events AS e
            ORDER BY e.id
            LIMIT forget_gate_events.max_rows
            FOR UPDATE SKIP LOCKED
        ) AS o
        WHERE o.at < clock_timestamp() - interval '10 minutes'
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END;
$$;

COMMENT ON FUNCTION contentq.forget_gate_events(integer) IS
    'Internal: deletes up to max_rows reports about providers that are more than ten minutes old.';
