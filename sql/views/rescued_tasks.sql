-- Tasks that were rescued from dead workers, latest first: which attempt at which task, and the status of the task now.
CREATE OR REPLACE VIEW contentq.rescued_tasks WITH (security_invoker = true) AS
SELECT
    d.found_at,
    d.worker_id,
    d.hostname,
    d.pid,
    d.heartbeat_at,
    NOT d.draining AS is_charged,
    r.id,
    r.attempt,
    t.task_id,
    t.status
FROM contentq.dead_workers AS d
CROSS JOIN LATERAL unnest(d.ids, d.attempts) AS r (id, attempt)
LEFT JOIN public.content_generation_tasks AS t ON t.id = r.id
ORDER BY d.found_at DESC, d.id DESC, r.id;

COMMENT ON VIEW contentq.rescued_tasks IS
    'Tasks that were rescued from dead workers, latest first: when, from which worker, whether a retry was charged (not if '
    'the worker was draining), and the status of the task now.';
