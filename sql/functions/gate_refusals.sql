-- Sums up the refusals of a gate that its pace is judged by.
-- Called by: judge_refusals(). Locks: nothing.
-- since: only attempts that began at this time or later. Of these, only those of the last cycle, plus the duration of the
-- call, except in a trial.
-- Returns: one row. refused: how many; new: how many of them are not folded yet; first_at, first_calls: when the first was
--          reported, and the calls until then; refused_since: how many began after that.
CREATE OR REPLACE FUNCTION contentq.gate_refusals(
    gate contentq.gates,
    since timestamptz,
    now_ timestamptz,
    OUT refused bigint,
    OUT new bigint,
    OUT refused_since bigint,
    OUT first_at timestamptz,
    OUT first_calls bigint,
    OUT last_began_at timestamptz
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*),
           count(*) FILTER (WHERE e.id > (gate_refusals.gate).folded_id),
           count(*) FILTER (WHERE e.began_at >= e.first_at),
           min(e.at),
           min(e.calls),
           max(e.began_at)
    FROM (
        SELECT e.*, min(e.at) OVER () AS first_at
        FROM (
            SELECT e.*
            FROM contentq.gate_events AS e
            WHERE e.key = (gate_refusals.gate).key
            ORDER BY e.key DESC, e.id DESC
            LIMIT 1000
        ) AS e
        WHERE e.kind <> 'unanswered'
          AND e.began_at >= gate_refusals.since
          AND ((gate_refusals.gate).cut_share IS NOT NULL
               OR e.at > gate_refusals.now_ - (e.at - e.began_at) - make_interval(
                      secs => CASE WHEN (gate_refusals.gate).peak IS NULL THEN 10
                                   ELSE contentq.gate_cycle((gate_refusals.gate).peak) END
                  ))
    ) AS e;
$$;

COMMENT ON FUNCTION contentq.gate_refusals(contentq.gates, timestamptz, timestamptz) IS
    'Internal: sums up the refusals of a gate that its pace is judged by.';
