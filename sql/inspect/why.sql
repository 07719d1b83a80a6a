-- Why a task is not running: its reasons, then the task itself.
-- Run with: psql "$DATABASE_URL" -v task=task-... -f sql/inspect/why.sql
\if :{?task}
SELECT reason FROM contentq.explain(:'task') AS reason
\g (format=wrapped columns=80)

SELECT id, status, priority AS prio, attempt AS att, scheduled_at::timestamp(0) AS scheduled,
       timeout_at::timestamp(0) AS deadline, account_id AS account
FROM contentq.tasks
WHERE task_id = :'task'
\g (format=wrapped columns=80)
\else
\echo 'Name the task: psql "$DATABASE_URL" -v task=task-... -f sql/inspect/why.sql'
\endif
