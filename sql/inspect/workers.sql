-- Workers: state, used slots of all slots, seconds since the last heartbeat; then the reasons of waiting workers.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/workers.sql
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, hostname, pid, state, busy || '/' || slots AS slots, heartbeat_age_s AS heard, handler
FROM contentq.worker_status
\g (format=wrapped)

\echo Waiting workers:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, line AS waits_for
FROM contentq.worker_status, regexp_replace(waits_for, '\s+', ' ', 'g') AS line
WHERE state = 'waits'
LIMIT 20
\g (format=wrapped)
\set QUIET :contentq_quiet
