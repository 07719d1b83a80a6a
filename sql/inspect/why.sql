-- Why a task is not running: the reasons, then the task itself.
-- Run with: psql "$DATABASE_URL" -v task=task-... -f sql/inspect/why.sql
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
\if :{?task}
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT reason FROM contentq.explain(:'task') AS reason
\g (format=wrapped)

SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, status, priority AS prio, attempt AS att, scheduled_at::timestamp(0) AS scheduled,
       timeout_at::timestamp(0) AS deadline, account_id AS account
FROM contentq.tasks
WHERE task_id = :'task'
\g (format=wrapped)
\else
\echo 'No task given. Run: psql "$DATABASE_URL" -v task=task-... -f sql/inspect/why.sql'
\endif
\set QUIET :contentq_quiet
