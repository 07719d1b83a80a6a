-- Checks whether a gate limits nothing: it is open, has no limits set and none learned. Such a gate is not locked.
-- Called by: gate_room(), spend_gate(). Locks: nothing. Returns: true or false.
CREATE OR REPLACE FUNCTION contentq.gate_is_free(gate contentq.gates, now_ timestamptz)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (gate_is_free.gate).opens_at <= gate_is_free.now_
           AND NOT (gate_is_free.gate).half_open
           AND num_nonnulls((gate_is_free.gate).requests_per_minute, (gate_is_free.gate).tokens_per_minute,
                            (gate_is_free.gate).max_running, (gate_is_free.gate).peak) = 0;
$$;

COMMENT ON FUNCTION contentq.gate_is_free(contentq.gates, timestamptz) IS
    'Internal: whether a gate is open and limits nothing.';
