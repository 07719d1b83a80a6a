-- What went wrong: the same errors together, then the latest tasks.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/failures.sql
-- Put one back with: SELECT contentq.requeue('task-…');
\echo By error:
SELECT status, count(*) AS tasks, max(ended_at)::timestamp(0) AS latest, left(error, 40) AS error
FROM contentq.recent_failures
GROUP BY status, left(error, 40)
ORDER BY tasks DESC
LIMIT 20;

\echo Latest:
SELECT task_id, attempts AS att, left(error, 34) AS error
FROM contentq.recent_failures
LIMIT 20;
