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
    (SELECT count(*) FROM contentq.workers AS w WHERE g.key IN (w.gate, '*')) AS workers,
    date_trunc('second', g.closed_at) AS closed_at,
    left(g.reason, 60) AS reason
FROM contentq.gates AS g
ORDER BY g.opens_at > clock_timestamp() DESC, g.key;

COMMENT ON VIEW contentq.gate_status IS
    'Gates, closed ones first: until when (opens_at may be infinity), how many workers have it, when and why it was '
    'closed last.';
