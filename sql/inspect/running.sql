-- What is being executed now, longest first; time_left is until the deadline. Workers: see workers.sql.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/running.sql
-- Texts are cut to half as many characters where they are Chinese, which is twice as wide.
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, attempt AS att, running, time_left, worker_id AS worker,
       left(line, CASE WHEN octet_length(left(line, 12)) > 16 THEN 6 ELSE 12 END) AS topic
FROM contentq.running_tasks, regexp_replace(topic, '\s+', ' ', 'g') AS line
LIMIT 50
\g (format=wrapped columns=80)
\set QUIET :contentq_quiet
