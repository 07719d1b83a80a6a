-- How fast: completed tasks by minute over the last hour; mean seconds of waiting and of running.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/throughput.sql
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT to_char(minute, 'HH24:MI') AS minute, completed, per_second, wait_s, run_s
FROM contentq.throughput
LIMIT 60
\g (format=wrapped)
\set QUIET :contentq_quiet
