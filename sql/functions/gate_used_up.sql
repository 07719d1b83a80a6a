-- Until when a provider takes nothing at all, as its refusals say and show.
-- Called by: judge_refusals(). Locks: nothing. Returns: the latest new refusal that says so, or nothing.
-- Either a call said that nothing is left (kind exhausted). Or they name a time that is long, and of those that began since
-- one of the last 50 that were refused, at least five and nearly all were refused: none was answered, and hardly any is
-- running. A second or less is not worth it: providers that name whole seconds say that of a moment, and a pace does better.
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
    'Internal: the refusal that says until when a provider takes nothing at all, if it does.';
