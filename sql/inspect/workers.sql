-- Who works: state, slots in use of all slots, seconds since the last heartbeat.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/workers.sql
SELECT id, left(hostname, 10) AS hostname, pid, state, busy || '/' || slots AS slots, heartbeat_age_s AS heard,
       left(handler, 10) AS handler
FROM contentq.worker_status
\g (format=wrapped columns=80)
