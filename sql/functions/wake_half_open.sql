-- Wakes the fleet when the provider of a half-open gate has answered.
-- Called by: note_answers(), note_gate_answers(), leave_gate(). Locks: nothing. Returns: nothing.
CREATE OR REPLACE FUNCTION contentq.wake_half_open(key text, last_began_at timestamptz)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM contentq.gates AS g
        WHERE g.key = wake_half_open.key
          AND g.half_open
          AND g.opens_at <= wake_half_open.last_began_at
    ) THEN
        PERFORM contentq.notify_ready();
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.wake_half_open(text, timestamptz) IS
    'Internal: wakes the fleet when the provider of a half-open gate has answered.';
