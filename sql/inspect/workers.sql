-- Who works: state, slots in use of all slots, seconds since the last heartbeat; then what keeps workers waiting.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/workers.sql
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, hostname, pid, state, busy || '/' || slots AS slots, heartbeat_age_s AS heard, handler
FROM contentq.worker_status
\g (format=wrapped)

\echo Workers that wait:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT id, line AS waits_for
FROM contentq.worker_status, regexp_replace(waits_for, '\s+', ' ', 'g') AS line
WHERE state = 'waits'
LIMIT 20
\g (format=wrapped)
\set QUIET :contentq_quiet
