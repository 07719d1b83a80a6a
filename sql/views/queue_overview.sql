-- One row for each status: the number of tasks, and the age of the oldest.
CREATE OR REPLACE VIEW contentq.queue_overview WITH (security_invoker = true) AS
SELECT
    s.status,
    count(t.id) AS tasks,
    count(t.id) FILTER (WHERE t.status = 'pending' AND t.scheduled_at > clock_timestamp()) AS scheduled,
    count(t.id) FILTER (WHERE t.retry_count > 0) AS retried,
    date_trunc('second', clock_timestamp() - min(t.submitted_at)) AS oldest_age
FROM (VALUES (1, 'pending'), (2, 'processing'), (3, 'completed'), (4, 'failed'), (5, 'timeout'))
    AS s (position, status)
LEFT JOIN public.content_generation_tasks AS t ON t.status = s.status
GROUP BY s.position, s.status
ORDER BY s.position;

COMMENT ON VIEW contentq.queue_overview IS
    'One row for each status: tasks, how many of them are scheduled for later, how many were retried, age of the oldest.';
