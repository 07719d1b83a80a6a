-- Tasks that ended failed or timeout, latest first.
CREATE OR REPLACE VIEW contentq.recent_failures WITH (security_invoker = true) AS
SELECT
    t.id,
    t.task_id,
    t.account_id,
    t.status,
    t.attempt AS attempts,
    date_trunc('second', t.updated_at) AS ended_at,
    CASE WHEN length(t.error_message) > 60 THEN left(t.error_message, 57) || '...' ELSE t.error_message END AS error
FROM public.content_generation_tasks AS t
WHERE t.status = ANY ('{failed,timeout}')
ORDER BY t.updated_at DESC, t.id DESC;

COMMENT ON VIEW contentq.recent_failures IS
    'Tasks that ended failed or timeout, latest first. To requeue one: SELECT contentq.requeue(task_id).';
