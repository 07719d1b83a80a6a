-- Says what a gate makes its workers wait for.
-- Called by: worker_wait(), explain(). Locks: nothing.
-- Returns: a row with the time until it may be over (NULL when nobody knows) and why; none when it lets tasks begin.
CREATE OR REPLACE FUNCTION contentq.gate_wait(key text)
RETURNS TABLE (next_in interval, why text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN g.opens_at < 'infinity' THEN g.opens_at - clock_timestamp() END,
           format('gate %s: closed%s', g.key, contentq.gate_closure_text(g))
    FROM contentq.gates AS g
    WHERE g.key = gate_wait.key
      AND g.opens_at > clock_timestamp();
$$;

COMMENT ON FUNCTION contentq.gate_wait(text) IS 'Internal: what a gate makes its workers wait for, and how long.';
