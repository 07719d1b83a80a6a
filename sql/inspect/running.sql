-- What is being executed now, longest first; time_left is until the deadline.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/running.sql
SELECT id, attempt AS att, running, time_left, worker_id AS worker, left(hostname, 16) AS hostname,
       left(topic, 28) AS topic
FROM contentq.running_tasks
LIMIT 50;
