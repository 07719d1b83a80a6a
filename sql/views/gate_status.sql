-- The gates that have a row, and those of live workers; those that make tasks wait first.
CREATE OR REPLACE VIEW contentq.gate_status WITH (security_invoker = true) AS
SELECT
    k.key,
    CASE
        WHEN g.opens_at > clock_timestamp() THEN 'closed'
        WHEN g.half_open THEN 'half open'
        WHEN s.room < 1 THEN 'waits'
        ELSE 'open'
    END AS state,
    CASE WHEN g.opens_at > clock_timestamp() THEN date_trunc('second', g.opens_at) END AS opens_at,
    CASE
        WHEN g.opens_at > clock_timestamp() AND isfinite(g.opens_at)
        THEN date_trunc('second', g.opens_at - clock_timestamp())
    END AS time_left,
    coalesce(w.workers, 0) AS workers,
    coalesce(w.running, 0) + coalesce(i.running, 0) AS running,
    contentq.gate_cap(g) AS max_running,
    CASE
        WHEN contentq.gate_cap(g) IS NULL THEN NULL
        WHEN g.max_running <= contentq.gate_cap(g) THEN 'set'
        ELSE 'learned'
    END AS max_running_is,
    round(contentq.gate_pace(g)::numeric, 2) AS pace,
    CASE
        WHEN contentq.gate_pace(g) IS NULL THEN NULL
        WHEN g.requests_per_minute::float8 / 60 <= contentq.gate_pace(g) THEN 'set'
        ELSE 'learned'
    END AS pace_is,
    g.tokens_per_minute,
    coalesce(e.refused, 0) AS refused,
    coalesce(e.unanswered, 0) AS unanswered,
    date_trunc('second', g.closed_at) AS closed_at,
    CASE WHEN length(g.reason) > 60 THEN left(g.reason, 57) || '...' ELSE g.reason END AS reason
FROM (
    SELECT o.key
    FROM contentq.gates AS o
    UNION
    SELECT o.gate
    FROM contentq.workers AS o
    WHERE o.gate <> ''
    UNION
    SELECT u.gate
    FROM contentq.workers AS o
    CROSS JOIN unnest(o.gates) AS u (gate)
) AS k
LEFT JOIN contentq.gates AS g ON g.key = k.key
-- Counted once for all gates.
CROSS JOIN (SELECT contentq.unregistered_running() AS running OFFSET 0) AS u
LEFT JOIN LATERAL contentq.gate_state(g, clock_timestamp(), u.running) AS s ON g.key IS NOT NULL
-- Counted once for all gates: a login can register any number of workers and close a gate of each.
LEFT JOIN (
    SELECT c.gate, count(*) AS workers, coalesce(sum(t.running) FILTER (WHERE c.has_all), 0) AS running
    FROM (
        SELECT o.id, u.gate, o.gates IS NULL OR u.gate = '*' AS has_all
        FROM contentq.workers AS o
        CROSS JOIN LATERAL unnest(
            CASE WHEN o.gate = '*' THEN ARRAY['*'] WHEN o.gates IS NULL THEN ARRAY[o.gate, '*'] ELSE o.gates || text '*' END
        ) AS u (gate)
    ) AS c
    LEFT JOIN (
        SELECT r.worker_id, count(*) AS running
        FROM public.content_generation_tasks AS r
        WHERE r.status = 'processing'
          AND r.worker_id IS NOT NULL
        GROUP BY r.worker_id
    ) AS t ON t.worker_id = c.id
    GROUP BY c.gate
) AS w ON w.gate = k.key
-- Tasks of workers with several gates count at the gate that they have entered.
LEFT JOIN (
    SELECT r.gate, count(*) AS running
    FROM public.content_generation_tasks AS r
    WHERE r.status || '' = 'processing'
      AND r.gate IS NOT NULL
    GROUP BY r.gate
) AS i ON i.gate = k.key
LEFT JOIN (
    SELECT n.key,
           count(*) FILTER (WHERE n.kind <> 'unanswered') AS refused,
           count(*) FILTER (WHERE n.kind = 'unanswered') AS unanswered
    FROM contentq.gate_events AS n
    WHERE n.at > clock_timestamp() - interval '1 minute'
    GROUP BY n.key
) AS e ON e.key = k.key
ORDER BY g.opens_at > clock_timestamp() DESC NULLS LAST, s.room < 1 DESC NULLS LAST, k.key;

COMMENT ON VIEW contentq.gate_status IS
    'Gates, closed ones first: opens_at (may be infinity), their workers and running tasks, how many tasks may run at once, '
    'the pace in tasks per second, whether each was set or learned, calls that were refused or not answered in the last '
    'minute, and when and why the gate was last closed.';
