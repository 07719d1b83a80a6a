-- Failures: equal errors grouped, then the latest tasks.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/failures.sql
-- To requeue a task: SELECT contentq.requeue('task-...');
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
\echo By error:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT status, count(*) AS tasks, max(ended_at)::timestamp(0) AS latest, line AS error
FROM contentq.recent_failures, regexp_replace(error, '\s+', ' ', 'g') AS line
GROUP BY 1, 4
ORDER BY tasks DESC, latest DESC
LIMIT 20
\g (format=wrapped)

\echo Latest:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT task_id, attempts AS att, line AS error
FROM contentq.recent_failures, regexp_replace(error, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)
\set QUIET :contentq_quiet
