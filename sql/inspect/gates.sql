-- What is paused or limited: gates that are closed, gates with a pace, a cap or calls that were refused or not answered in the
-- last minute, then accounts that are paused or have used up their monthly budget.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/gates.sql
-- Open a gate with: SELECT contentq.open_gate('...'); end an account's pause with paused_until = NULL.
-- Each query finds no one else's functions and operators, whatever search_path the session has.
\set contentq_quiet :QUIET
\set QUIET on
\echo Closed gates:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT key AS gate, opens_at::timestamp(0) AS closed_until, workers,
       line AS reason
FROM contentq.gate_status, regexp_replace(reason, '\s+', ' ', 'g') AS line
WHERE state = 'closed'
ORDER BY gate_status.key
\g (format=wrapped)

\echo Gates that limit, in tasks a second:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT key AS gate, state, concat_ws(' ', pace, pace_is) AS pace, tokens_per_minute AS tokens_a_minute,
       concat_ws('/', running, max_running) AS running, refused, unanswered
FROM contentq.gate_status
WHERE state <> 'closed'
  AND (num_nonnulls(pace, tokens_per_minute, max_running) > 0 OR refused + unanswered > 0)
ORDER BY key
\g (format=wrapped)

\echo Accounts that wait:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT account_id AS id, line AS name,
       replace(why, 'budget used up', 'budget') AS why, until::timestamp(0) AS until, pending
FROM contentq.paused_accounts, regexp_replace(name, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)
\set QUIET :contentq_quiet
