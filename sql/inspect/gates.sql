-- Pauses and limits: closed gates; gates with a pace, a cap, or calls that were refused or not answered in the last minute;
-- accounts that are paused, at their cap or over budget.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/gates.sql
-- To open a gate: SELECT contentq.open_gate('...'); to resume an account: UPDATE contentq.accounts SET paused_until = NULL
-- WHERE id = ...;
-- Each query sets its search_path, so that it uses no functions or operators of other users.
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

\echo Gates with limits, in tasks a second:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT key AS gate, state, concat_ws(' ', pace, pace_is) AS pace, tokens_per_minute AS tokens_a_minute,
       concat_ws(' ', concat_ws('/', running, max_running), max_running_is) AS running, refused, unanswered
FROM contentq.gate_status
WHERE state <> 'closed'
  AND (num_nonnulls(pace, tokens_per_minute, max_running) > 0 OR refused + unanswered > 0)
ORDER BY key
\g (format=wrapped)

\echo Blocked accounts:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT account_id AS id, line AS name,
       replace(why, 'budget used up', 'budget') AS why, until::timestamp(0) AS until, pending
FROM contentq.paused_accounts, regexp_replace(name, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)
\set QUIET :contentq_quiet
