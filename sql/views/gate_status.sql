-- The gates that were ever closed, those that are closed first.
CREATE OR REPLACE VIEW contentq.gate_status WITH (security_invoker = true) AS
SELECT
    g.key,
    CASE WHEN g.opens_at > clock_timestamp() THEN 'closed' ELSE 'open' END AS state,
    CASE WHEN g.opens_at > clock_timestamp() THEN date_trunc('second', g.opens_at) END AS opens_at,
    CASE
        WHEN g.opens_at > clock_timestamp() AND isfinite(g.opens_at)
        THEN date_trunc('second', g.opens_at - clock_timestamp())
    END AS time_left,
    CASE WHEN g.key = '*' THEN (SELECT count(*) FROM contentq.workers) ELSE coalesce(w.workers, 0) END AS workers,
    date_trunc('second', g.closed_at) AS closed_at,
    CASE WHEN length(g.reason) > 60 THEN left(g.reason, 57) || '...' ELSE g.reason END AS reason
FROM contentq.gates AS g
-- Counted once for all gates: a login of a worker can register any number of workers, and close the gate of each.
LEFT JOIN (
    SELECT c.gate, count(*) AS workers
    FROM contentq.workers AS c
    GROUP BY c.gate
) AS w ON w.gate = g.key
ORDER BY g.opens_at > clock_timestamp() DESC, g.key;

COMMENT ON VIEW contentq.gate_status IS
    'Gates, closed ones first: until when (opens_at may be infinity), how many workers have it, when and why it was '
    'closed last.';
