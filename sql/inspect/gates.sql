-- What is paused: gates that are closed, then accounts that are paused or have used up their monthly budget.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/gates.sql
-- Open a gate with: SELECT contentq.open_gate('...'); end an account's pause with paused_until = NULL.
-- Texts are cut to half as many characters where they are Chinese, which is twice as wide.
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
\echo Closed gates:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT left(key, 22) AS gate, opens_at::timestamp(0) AS closed_until, workers,
       left(line, CASE WHEN octet_length(left(line, 22)) > 30 THEN 11 ELSE 22 END) AS reason
FROM contentq.gate_status, regexp_replace(reason, '\s+', ' ', 'g') AS line
WHERE state = 'closed'
ORDER BY gate_status.key
\g (format=wrapped columns=80)

\echo Accounts that wait:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT account_id AS id, left(line, CASE WHEN octet_length(left(line, 14)) > 16 THEN 7 ELSE 14 END) AS name,
       replace(why, 'budget used up', 'budget') AS why, until::timestamp(0) AS until, pending
FROM contentq.paused_accounts, regexp_replace(name, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped columns=80)
\set QUIET :contentq_quiet
