-- Completed tasks by minute, over the last hour. Seconds, not intervals: the difference of two arbitrary times may not fit
-- into an interval.
CREATE OR REPLACE VIEW contentq.throughput WITH (security_invoker = true) AS
SELECT
    date_trunc('minute', t.completed_at) AS minute,
    count(*) AS completed,
    round(count(*) / 60.0, 1) AS per_second,
    round(avg(extract(epoch FROM t.started_at) - extract(epoch FROM coalesce(t.ready_at, t.submitted_at))), 2) AS wait_s,
    round(avg(extract(epoch FROM t.completed_at) - extract(epoch FROM t.started_at)), 2) AS run_s
FROM public.content_generation_tasks AS t
WHERE t.status = 'completed'
  AND t.completed_at > clock_timestamp() - interval '1 hour'
  AND t.completed_at <= clock_timestamp()
GROUP BY date_trunc('minute', t.completed_at)
ORDER BY minute DESC;

COMMENT ON VIEW contentq.throughput IS
    'Completed tasks by minute over the last hour, with the mean seconds that they waited for their latest attempt since '
    'they were ready (wait_s), and that it ran (run_s).';
