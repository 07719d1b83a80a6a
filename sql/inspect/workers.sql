-- Who works: state, slots in use, seconds since the last heartbeat.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/workers.sql
SELECT id, left(hostname, 16) AS hostname, pid, state, busy, slots, heard_s_ago AS heard, up,
       left(handler, 20) AS handler
FROM contentq.worker_status;
