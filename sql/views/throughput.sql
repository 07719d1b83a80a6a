-- Completed tasks by minute, over the last hour.
CREATE OR REPLACE VIEW contentq.throughput WITH (security_invoker = true) AS
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
