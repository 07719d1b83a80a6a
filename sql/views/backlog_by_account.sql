-- Waiting and running tasks by account, largest backlog first.
CREATE OR REPLACE VIEW contentq.backlog_by_account WITH (security_invoker = true) AS
SELECT
    t.account_id,
    CASE WHEN length(a.name) > 30 THEN left(a.name, 27) || '...' ELSE a.name END AS name,
    count(*) FILTER (WHERE t.status = 'pending') AS pending,
    count(*) FILTER (WHERE t.status = 'pending' AND t.scheduled_at > clock_timestamp()) AS scheduled,
    count(*) FILTER (WHERE t.status = 'processing') AS processing,
    max(t.priority) FILTER (WHERE t.status = 'pending') AS top_priority,
    date_trunc('second', clock_timestamp() - min(t.submitted_at) FILTER (WHERE t.status = 'pending')) AS oldest_age
FROM public.content_generation_tasks AS t
JOIN public.accounts AS a ON a.id = t.account_id
WHERE t.status = ANY ('{pending,processing}')
GROUP BY t.account_id, a.name
ORDER BY pending DESC, t.account_id;

COMMENT ON VIEW contentq.backlog_by_account IS
    'By account: pending tasks, those of them scheduled for later, processing tasks, highest waiting priority, age of the '
    'oldest.';
