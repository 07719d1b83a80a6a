-- Sums what the workers of a gate have counted: how many tasks they claimed, and what became of them.
-- Called by: whatever judges a gate, and note_gate_event(), which keeps the sums with the event.
-- Locks: nothing. Returns: one row. A worker that leaves takes its counts with it: differences may be negative.
CREATE OR REPLACE FUNCTION contentq.gate_totals(key text)
RETURNS TABLE (calls bigint, answered bigint, last_answered timestamptz, tokens numeric)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(c.calls), 0)::bigint,
           coalesce(sum(c.answered), 0)::bigint,
           coalesce(max(c.last_answered), '-infinity'),
           coalesce(sum(c.tokens), 0)
    FROM contentq.workers AS w
    JOIN contentq.claimers AS c ON c.worker_id = w.id
    WHERE w.gate = gate_totals.key
       OR gate_totals.key = '*';
$$;

COMMENT ON FUNCTION contentq.gate_totals(text) IS
    'Internal: what the workers of a gate have claimed, what was answered, and the tokens that it took.';
