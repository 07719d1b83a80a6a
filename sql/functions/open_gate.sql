-- Opens a gate before its time.
-- Called by: operators. Locks: the gate's row. Returns: whether it was closed.
CREATE OR REPLACE FUNCTION contentq.open_gate(key text)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
BEGIN
    UPDATE contentq.gates AS g
    SET opens_at = clock_timestamp()
    WHERE g.key = open_gate.key
      AND g.opens_at > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM contentq.notify_ready();
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.open_gate(text) IS
    'Opens a gate before its time; returns whether it was closed.';
