-- The registered workers and whether they are heard.
CREATE OR REPLACE VIEW contentq.worker_status AS
SELECT
    w.id,
    w.hostname,
    w.pid,
    CASE
        WHEN w.heartbeat_at < clock_timestamp() - s.worker_silence THEN 'silent'
        WHEN w.draining THEN 'draining'
        WHEN w.busy >= w.slots THEN 'full'
        WHEN w.busy > 0 THEN 'working'
        ELSE 'idle'
    END AS state,
    w.busy,
    w.slots,
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heard_s_ago,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    left(w.handler, 30) AS handler,
    w.version
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
ORDER BY w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers: idle, working, full, draining or silent; busy of slots; seconds since the last heartbeat.';
