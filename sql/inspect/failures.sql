-- What went wrong: the same errors together, then the latest tasks.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/failures.sql
-- Put one back with: SELECT contentq.requeue('task-...');
-- Texts are cut to half as many characters where they are Chinese, which is twice as wide.
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
\echo By error:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT status, count(*) AS tasks, max(ended_at)::timestamp(0) AS latest,
       left(line, most) || CASE WHEN length(line) > most THEN U&'\2026' ELSE '' END AS error
FROM contentq.recent_failures, regexp_replace(error, '\s+', ' ', 'g') AS line,
     LATERAL (SELECT CASE WHEN octet_length(left(line, 32)) > 40 THEN 16 ELSE 32 END AS most) AS fits
GROUP BY 1, 4
ORDER BY tasks DESC, latest DESC
LIMIT 20
\g (format=wrapped columns=80)

\echo Latest:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT task_id, attempts AS att,
       left(line, most) || CASE WHEN length(line) > most THEN U&'\2026' ELSE '' END AS error
FROM contentq.recent_failures, regexp_replace(error, '\s+', ' ', 'g') AS line,
     LATERAL (SELECT CASE WHEN octet_length(left(line, 28)) > 36 THEN 14 ELSE 28 END AS most) AS fits
LIMIT 20
\g (format=wrapped columns=80)
\set QUIET :contentq_quiet
