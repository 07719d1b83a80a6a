-- The registered workers and whether they are heard. Busy is counted from the tasks, since what a worker has said
-- of itself may be two seconds old.
CREATE OR REPLACE VIEW contentq.worker_status WITH (security_invoker = true) AS
SELECT
    w.id,
    w.hostname,
    w.pid,
    CASE
        WHEN w.heartbeat_at < clock_timestamp() - s.heartbeat_timeout THEN 'silent'
        WHEN w.draining THEN 'draining'
        WHEN held.busy >= w.slots THEN 'full'
        WHEN held.busy > 0 THEN 'working'
        ELSE 'idle'
    END AS state,
    held.busy,
    w.slots,
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heartbeat_age_s,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    left(w.handler, 30) AS handler,
    w.version,
    w.gate
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS busy
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = w.id
      AND t.status = 'processing'
) AS held
ORDER BY w.started_at, w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers: idle, working, full, draining or silent; busy of slots, by the tasks held; seconds since '
    'the last heartbeat.';
