-- Tasks that were submitted together, by batch: their progress, cost and expected end.
-- With a condition on batch, an index is used: one batch of 100,000 tasks is read in a fraction of a second. Without it,
-- every batch is read; latest_batches() lists batches to read.
-- The expected end follows from the rate of the last ten minutes, or since the start of the first of its tasks that have
-- ended. It is not before the last scheduled_at of a task that waits.
CREATE OR REPLACE VIEW contentq.batches WITH (security_invoker = true) AS
SELECT
    b.batch,
    b.accounts,
    b.tasks,
    b.pending,
    b.processing,
    b.completed,
    b.failed,
    b.timeout,
    round((b.completed + b.failed + b.timeout)::numeric / b.tasks, 4) AS done_share,
    b.cost,
    b.submitted_at,
    b.last_ended_at,
    CASE WHEN b.pending + b.processing > 0 AND b.ended_lately > 0
         THEN greatest(clock_timestamp() + interval '1 second'
                       * ((b.pending + b.processing) * greatest(least(600, b.seconds), 1) / b.ended_lately),
                       b.scheduled_until)
    END AS expected_end
FROM (
    SELECT
        t.batch,
        count(DISTINCT t.account_id) AS accounts,
        count(*) AS tasks,
        count(*) FILTER (WHERE t.status = 'pending') AS pending,
        count(*) FILTER (WHERE t.status = 'processing') AS processing,
        count(*) FILTER (WHERE t.status = 'completed') AS completed,
        count(*) FILTER (WHERE t.status = 'failed') AS failed,
        count(*) FILTER (WHERE t.status = 'timeout') AS timeout,
        round(sum(CASE WHEN json_typeof(t.result->'cost') = 'number'
                            AND (t.result->>'cost')::numeric BETWEEN 0 AND 1e12
                       THEN (t.result->>'cost')::numeric END), 6) AS cost,
        min(t.submitted_at) AS submitted_at,
        max(e.ended_at) AS last_ended_at,
        max(t.scheduled_at) FILTER (WHERE t.status = 'pending') AS scheduled_until,
        count(*) FILTER (WHERE e.ended_at > clock_timestamp() - interval '10 minutes') AS ended_lately,
        (extract(epoch FROM clock_timestamp())
         - extract(epoch FROM min(t.started_at) FILTER (WHERE e.ended_at IS NOT NULL)))::float8 AS seconds
    FROM public.content_generation_tasks AS t
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.status = 'completed' THEN t.completed_at
                    WHEN t.status = 'failed' OR t.status = 'timeout' THEN t.updated_at END AS ended_at
    ) AS e
    WHERE t.batch IS NOT NULL
    GROUP BY t.batch
) AS b
ORDER BY b.submitted_at DESC, b.batch;

COMMENT ON VIEW contentq.batches IS
    'Tasks that were submitted together, by batch: tasks by status, the share that has ended, the cost in their results, '
    'and the end expected from the rate of the last ten minutes. Latest first; a condition on batch makes it fast.';
