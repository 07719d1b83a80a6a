-- The registered workers and their state. busy is counted from the tasks: the number in a heartbeat may be two seconds old.
-- The xmax of a row is the last transaction that locked it.
CREATE OR REPLACE VIEW contentq.worker_status WITH (security_invoker = true) AS
SELECT
    w.id,
    w.hostname,
    w.pid,
    CASE
        WHEN w.heartbeat_at < clock_timestamp() - s.heartbeat_timeout THEN 'silent'
        WHEN w.draining THEN 'draining'
        WHEN held.busy >= w.slots THEN 'full'
        WHEN waiting.why IS NOT NULL THEN 'waits'
        WHEN held.busy > 0 THEN 'working'
        ELSE 'idle'
    END AS state,
    coalesce(held.busy, 0) AS busy,
    w.slots,
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heartbeat_age_s,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    CASE WHEN length(w.handler) > 30 THEN left(w.handler, 27) || '...' ELSE w.handler END AS handler,
    w.version,
    coalesce(w.gate, array_to_string(w.gates, ', ')) AS gate,
    w.categories,
    CASE WHEN NOT w.draining THEN waiting.why END AS waits_for,
    coalesce(held.locked, 0) AS locked
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
-- Counted once for all workers.
LEFT JOIN (
    SELECT t.worker_id,
           count(*)::integer AS busy,
           count(l.transactionid)::integer AS locked
    FROM public.content_generation_tasks AS t
    LEFT JOIN (
        SELECT DISTINCT o.transactionid
        FROM pg_locks AS o
        WHERE o.locktype = 'transactionid'
          AND o.granted
    ) AS l ON l.transactionid = t.xmax
    WHERE t.status = 'processing'
      AND t.worker_id IS NOT NULL
    GROUP BY t.worker_id
) AS held ON held.worker_id = w.id
LEFT JOIN contentq.workers_wait() AS waiting ON waiting.worker_id = w.id
ORDER BY w.started_at, w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers. state: idle, working, waits, full, draining or silent (no recent heartbeat). busy: tasks held, of '
    'slots. heartbeat_age_s: seconds since the last heartbeat. categories: those that it claims, NULL for all. waits_for: '
    'why it may not start a task. locked: its tasks whose rows another session has locked, so that they cannot be '
    'reported.';
