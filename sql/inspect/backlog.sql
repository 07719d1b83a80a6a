-- The backlog: by status, by account, and the tasks that will be claimed next.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/backlog.sql
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
\echo By status:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT status, tasks, scheduled, retried, oldest_age AS oldest
FROM contentq.queue_overview
\g (format=wrapped)

\echo By account:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT account_id AS id, line AS name, pending, scheduled, processing, oldest_age AS oldest
FROM contentq.backlog_by_account, regexp_replace(name, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)

\echo Next to be claimed:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, priority AS prio, account_id AS account, to_char(submitted_at, 'MM-DD HH24:MI:SS') AS submitted,
       CASE WHEN length(line) > 40 THEN left(line, 37) || '...' ELSE line END AS topic
FROM contentq.tasks, regexp_replace(topic, '\s+', ' ', 'g') AS line
WHERE status = 'pending' AND scheduled_at IS NULL
  AND account_id <> ALL (ARRAY(SELECT account_id FROM contentq.paused_accounts))
ORDER BY priority DESC, submitted_at, id
LIMIT 10
\g (format=wrapped)
\set QUIET :contentq_quiet
