-- Throughput: completed tasks by minute over the last hour, with the mean seconds of waiting and running.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/throughput.sql
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT to_char(minute, 'HH24:MI') AS minute, completed, per_second, wait_s, run_s
FROM contentq.throughput
LIMIT 60
\g (format=wrapped)
\set QUIET :contentq_quiet
