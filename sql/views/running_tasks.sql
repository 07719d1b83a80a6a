-- Running tasks, longest first.
CREATE OR REPLACE VIEW contentq.running_tasks WITH (security_invoker = true) AS
SELECT
    t.id,
    t.task_id,
    t.account_id,
    t.priority,
    t.attempt,
    date_trunc('second', clock_timestamp() - t.started_at) AS running,
    CASE WHEN isfinite(t.timeout_at) THEN date_trunc('second', t.timeout_at - clock_timestamp()) END AS time_left,
    t.worker_id,
    w.hostname,
    CASE WHEN length(t.topic) > 40 THEN left(t.topic, 37) || '...' ELSE t.topic END AS topic,
    round((t.progress * 100)::numeric) AS percent,
    CASE WHEN length(t.progress_note) > 40 THEN left(t.progress_note, 37) || '...' ELSE t.progress_note END AS note
FROM public.content_generation_tasks AS t
LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
WHERE t.status = 'processing'
ORDER BY t.started_at, t.id;

COMMENT ON VIEW contentq.running_tasks IS
    'Processing tasks, longest first, with their worker (NULL if set to processing by hand) and the progress that their '
    'handlers report.';
