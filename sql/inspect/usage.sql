-- Usage of this month (UTC): by account, by model, and by day for the last 31 days; budgets.
-- Run with: psql "$DATABASE_URL" -f sql/inspect/usage.sql
-- To set a budget: UPDATE contentq.accounts SET monthly_budget = 50 WHERE id = ...; (NULL: no limit)
-- Each query sets its search_path, so that it uses no functions or operators of other users.
\set contentq_quiet :QUIET
\set QUIET on
\echo By account:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT account_id AS id, line AS name,
       attempts, prompt_tokens + completion_tokens AS tokens, round(cost, 4) AS cost,
       monthly_budget AS budget, CASE WHEN used_up THEN 'used up' ELSE round(used_percent) || ' %' END AS used
FROM contentq.usage_by_account, regexp_replace(name, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)

\echo By model:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT line AS model, attempts,
       prompt_tokens AS tokens_in, completion_tokens AS tokens_out, round(cost, 4) AS cost
FROM contentq.usage_by_model, regexp_replace(model, '\s+', ' ', 'g') AS line
LIMIT 20
\g (format=wrapped)

\echo By day:
SET LOCAL search_path = pg_catalog, pg_temp\;
SELECT day, attempts, prompt_tokens AS tokens_in, completion_tokens AS tokens_out, round(cost, 4) AS cost, accounts
FROM contentq.usage_by_day
\g (format=wrapped)
\set QUIET :contentq_quiet
