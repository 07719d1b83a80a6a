-- What is being executed now, longest first; time_left is until the deadline. Workers: see workers.sql.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/running.sql
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, attempt AS att, running, time_left, worker_id AS worker,
       line AS topic
FROM contentq.running_tasks, regexp_replace(topic, '\s+', ' ', 'g') AS line
LIMIT 50
\g (format=wrapped)
\set QUIET :contentq_quiet
