-- Running tasks, longest first; time_left: until the deadline. For workers, see workers.sql.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/running.sql
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, attempt AS att, running, time_left, worker_id AS worker,
       line AS topic
FROM contentq.running_tasks, regexp_replace(topic, '\s+', ' ', 'g') AS line
LIMIT 50
\g (format=wrapped)
\set QUIET :contentq_quiet
