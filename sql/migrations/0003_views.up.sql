-- 0003: the views that people read in psql.

-- What waits and what runs, by account, largest backlog first.
CREATE OR REPLACE VIEW contentq.backlog_by_account AS
SELECT
    t.account_id AS account,
    left(a.name, 30) AS name,
    count(*) FILTER (WHERE t.status = 'pending') AS pending,
    count(*) FILTER (WHERE t.status = 'pending' AND t.scheduled_at > clock_timestamp()) AS scheduled,
    count(*) FILTER (WHERE t.status = 'processing') AS processing,
    max(t.priority) FILTER (WHERE t.status = 'pending') AS top_priority,
    date_trunc('second', clock_timestamp() - min(t.submitted_at) FILTER (WHERE t.status = 'pending')) AS oldest
FROM public.content_generation_tasks AS t
JOIN public.accounts AS a ON a.id = t.account_id
WHERE t.status IN ('pending', 'processing')
GROUP BY t.account_id, a.name
ORDER BY pending DESC, t.account_id;

COMMENT ON VIEW contentq.backlog_by_account IS
    'By account: pending, of these scheduled for later, processing, highest waiting priority, age of the oldest.';

-- One row a status: how many tasks, and how old the oldest is.
CREATE OR REPLACE VIEW contentq.queue_overview AS
SELECT
    s.status,
    count(t.id) AS tasks,
    count(t.id) FILTER (WHERE t.status = 'pending' AND t.scheduled_at > clock_timestamp()) AS scheduled,
    count(t.id) FILTER (WHERE t.retry_count > 0) AS retried,
    date_trunc('second', clock_timestamp() - min(t.submitted_at)) AS oldest
FROM (VALUES (1, 'pending'), (2, 'processing'), (3, 'completed'), (4, 'failed'), (5, 'timeout'))
    AS s (position, status)
LEFT JOIN public.content_generation_tasks AS t ON t.status = s.status
GROUP BY s.position, s.status
ORDER BY s.position;

COMMENT ON VIEW contentq.queue_overview IS
    'One row a status: tasks, how many of them are scheduled for later or were retried, age of the oldest.';

-- Tasks that ended failed or timeout, latest first.
CREATE OR REPLACE VIEW contentq.recent_failures AS
SELECT
    t.id,
    t.task_id,
    t.account_id AS account,
    t.status,
    t.attempt AS attempts,
    date_trunc('second', t.updated_at) AS ended_at,
    left(t.error_message, 60) AS error
FROM public.content_generation_tasks AS t
WHERE t.status IN ('failed', 'timeout')
ORDER BY t.updated_at DESC, t.id DESC;

COMMENT ON VIEW contentq.recent_failures IS
    'Tasks that ended failed or timeout, latest first; put one back with SELECT contentq.requeue(task_id).';

-- What is being executed now, longest first.
CREATE OR REPLACE VIEW contentq.running_tasks AS
SELECT
    t.id,
    t.task_id,
    t.account_id AS account,
    t.priority,
    t.attempt,
    date_trunc('second', clock_timestamp() - t.started_at) AS running,
    date_trunc('second', t.timeout_at - clock_timestamp()) AS time_left,
    t.worker_id,
    w.hostname,
    left(t.topic, 40) AS topic
FROM public.content_generation_tasks AS t
LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
WHERE t.status = 'processing'
ORDER BY t.started_at, t.id;

COMMENT ON VIEW contentq.running_tasks IS
    'Tasks that are processing, longest first, with their worker (NULL when set to processing by hand).';

-- Completed tasks by minute, over the last hour.
CREATE OR REPLACE VIEW contentq.throughput AS
SELECT
    date_trunc('minute', t.completed_at) AS minute,
    count(*) AS completed,
    round(count(*) / 60.0, 1) AS per_second,
    round(extract(epoch FROM avg(t.started_at - t.submitted_at))::numeric, 2) AS wait_s,
    round(extract(epoch FROM avg(t.completed_at - t.started_at))::numeric, 2) AS run_s
FROM public.content_generation_tasks AS t
WHERE t.status = 'completed'
  AND t.completed_at > clock_timestamp() - interval '1 hour'
GROUP BY date_trunc('minute', t.completed_at)
ORDER BY minute DESC;

COMMENT ON VIEW contentq.throughput IS
    'Completed tasks by minute over the last hour, with mean seconds waiting and in the latest attempt.';

-- The registered workers and whether they are heard. Busy is counted from the tasks, since what a worker has said
-- of itself may be two seconds old.
CREATE OR REPLACE VIEW contentq.worker_status AS
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
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heard_s_ago,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    left(w.handler, 30) AS handler,
    w.version
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS busy
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = w.id
      AND t.status = 'processing'
) AS held
ORDER BY w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers: idle, working, full, draining or silent; busy of slots, by the tasks held; seconds since '
    'the last heartbeat.';
