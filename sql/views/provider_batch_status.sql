-- Batches at providers: requests that wait for a batch, batches at the provider, and batches that ended within the last
-- day.
CREATE OR REPLACE VIEW contentq.provider_batch_status WITH (security_invoker = true) AS
SELECT
    b.provider_id AS batch,
    b.status,
    b.model,
    b.requests,
    b.completed,
    b.failed,
    CASE WHEN b.ended_at IS NULL THEN waiting.tasks ELSE 0 END AS tasks_waiting,
    date_trunc('second', coalesce(b.ended_at, clock_timestamp()) - b.opened_at) AS age,
    CASE WHEN b.ended_at IS NULL THEN date_trunc('second', b.expires_at - clock_timestamp()) END AS expires_in,
    b.provider,
    b.error
FROM contentq.provider_batches AS b
CROSS JOIN LATERAL (
    SELECT count(*) AS tasks
    FROM contentq.batch_requests AS r
    WHERE r.batch_id = b.id
      AND r.answered_at IS NULL
) AS waiting
WHERE b.ended_at IS NULL
   OR b.ended_at > clock_timestamp() - interval '1 day'
UNION ALL
SELECT
    NULL,
    'gathering',
    r.model,
    count(*),
    0,
    0,
    count(*),
    date_trunc('second', clock_timestamp() - min(r.asked_at)),
    NULL,
    r.provider,
    NULL
FROM contentq.batch_requests AS r
WHERE r.batch_id IS NULL
  AND r.answered_at IS NULL
GROUP BY r.provider, r.model
ORDER BY age;

COMMENT ON VIEW contentq.provider_batch_status IS
    'Batches at providers, the newest first: status as the provider reports it (gathering and opening: before it is sent), '
    'requests and how many of them are done, tasks that wait for it, its age, and its latest error.';
