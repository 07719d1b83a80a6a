-- What waits: by status, then by account, then what will be claimed next.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/backlog.sql
\echo By status:
SELECT status, tasks, scheduled, retried, oldest FROM contentq.queue_overview;

\echo By account:
SELECT account, name, pending, scheduled, processing, oldest FROM contentq.backlog_by_account LIMIT 20;

\echo Next to be claimed:
SELECT id, priority AS prio, account_id AS account, to_char(submitted_at, 'MM-DD HH24:MI:SS') AS submitted,
       left(topic, 36) AS topic
FROM content_generation_tasks
WHERE status = 'pending' AND scheduled_at IS NULL
ORDER BY priority DESC, submitted_at, id
LIMIT 10;
