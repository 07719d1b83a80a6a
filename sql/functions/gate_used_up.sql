-- Computes until when a provider accepts nothing, according to its refusals.
-- Called by: judge_refusals(). Locks: nothing. Returns: the latest new refusal that shows this; NULL for none.
-- Either a call reported that nothing is left (kind exhausted). Or the refusals name a time more than 1.2 seconds ahead
-- and, of the calls since one of the last 50 refusals, at least five and nearly all were refused: none was answered, and
-- hardly any is running. Shorter times do not count: providers that name whole seconds mean a moment, which the pace
-- handles better.
CREATE OR REPLACE FUNCTION contentq.gate_used_up(
    gate contentq.gates,
    last_answered timestamptz,
    now_ timestamptz
)
RETURNS contentq.gate_events
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH latest AS (
        SELECT e.*
        FROM contentq.gate_events AS e
        WHERE e.key = (gate_used_up.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 50
    ),
    named AS (
        SELECT e.*
        FROM latest AS e
        WHERE e.kind <> 'unanswered'
          AND e.began_at >= (gate_used_up.gate).cut_at
          AND e.until > e.at + interval '1.2 seconds'
          AND e.until > gate_used_up.now_
    )
    SELECT n.*
    FROM named AS n
    WHERE n.id > (gate_used_up.gate).folded_id
      AND (n.kind = 'exhausted'
           OR EXISTS (
               SELECT
               FROM (
                   SELECT f.began_at, row_number() OVER (ORDER BY f.began_at DESC) AS refused
                   FROM named AS f
               ) AS f
               WHERE f.refused >= 5
                 AND f.began_at > gate_used_up.last_answered
                 AND f.refused >= 4 * contentq.gate_running((gate_used_up.gate).key, f.began_at)
           ))
    ORDER BY n.until DESC
    LIMIT 1;
$$;

COMMENT ON FUNCTION contentq.gate_used_up(contentq.gates, timestamptz, timestamptz) IS
    'Internal: the refusal that shows until when a provider accepts nothing; NULL for none.';
