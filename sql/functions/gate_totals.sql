-- Sums the counts of the workers of a gate: tasks that they claimed, or that entered it, and their outcomes.
-- Called by: the functions that judge a gate, and note_gate_event(), which stores the sums with the event.
-- Locks: nothing. Returns: one row. The counts of a worker that leaves disappear, so differences may be negative.
CREATE OR REPLACE FUNCTION contentq.gate_totals(key text)
RETURNS TABLE (calls bigint, answered bigint, last_answered timestamptz, tokens numeric)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(a.calls), 0)::bigint,
           coalesce(sum(a.answered), 0)::bigint,
           coalesce(max(a.last_answered), '-infinity'),
           coalesce(sum(a.tokens), 0)
    FROM (
        SELECT c.calls, c.answered, c.last_answered, c.tokens
        FROM contentq.workers AS w
        JOIN contentq.claimers AS c ON c.worker_id = w.id
        WHERE w.gate = gate_totals.key
           OR gate_totals.key = '*'
        UNION ALL
        SELECT c.calls, c.answered, c.last_answered, c.tokens
        FROM contentq.gate_counts AS c
        WHERE c.gate = gate_totals.key
           OR gate_totals.key = '*'
    ) AS a;
$$;

COMMENT ON FUNCTION contentq.gate_totals(text) IS
    'Internal: the calls, answers and tokens that the workers of a gate have counted.';
