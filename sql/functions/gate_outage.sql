-- Computes since when a provider has answered nothing.
-- Called by: judge_unanswered(), and note_unanswered(), which spreads the retries of tasks hit by an outage. Locks:
--            nothing.
-- Returns: the time of the first call without an answer; NULL if there is no outage.
-- Three unanswered calls in a row are an outage: no call that began after one of them was answered, and all are at most two
-- minutes old. With calls of a minute of which one in a hundred gets no answer, three may come before the first answer to a
-- newer call; so they must also be at least a third of the calls answered meanwhile.
CREATE OR REPLACE FUNCTION contentq.gate_outage(
    gate contentq.gates,
    answered bigint,
    last_answered timestamptz,
    now_ timestamptz
)
RETURNS timestamptz
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(e.at)
    FROM (
        SELECT e.*
        FROM contentq.gate_events AS e
        WHERE e.key = (gate_outage.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 300
    ) AS e
    WHERE e.kind = 'unanswered'
      AND e.began_at >= (gate_outage.gate).opens_at
      AND e.at > greatest(gate_outage.last_answered, gate_outage.now_ - interval '2 minutes')
    HAVING count(*) >= 3
       AND count(*) >= 0.33 * (gate_outage.answered - min(e.answered));
$$;

COMMENT ON FUNCTION contentq.gate_outage(contentq.gates, bigint, timestamptz, timestamptz) IS
    'Internal: since when a provider has answered nothing; NULL if it answers.';
