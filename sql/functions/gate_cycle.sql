-- Computes the time in which the pace of a gate grows by 0.09 of its peak: 5 seconds, or the time of 60 tasks if that is
-- longer.
-- Each cut costs some refusals, which must stay few among the calls.
-- Called by: gate_pace(), spend_gate() and judge_refusals(). Locks: nothing. Returns: seconds.
CREATE OR REPLACE FUNCTION contentq.gate_cycle(peak float8)
RETURNS float8
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(5, 60 / gate_cycle.peak);
$$;

COMMENT ON FUNCTION contentq.gate_cycle(float8) IS
    'Internal: seconds in which the pace of a gate grows by 0.09 of its peak.';
