-- Submits the topics of topics.csv for two accounts, one task per line, in one transaction.
-- A producer in any language needs only these statements. Run psql in the folder of the project.
\set ON_ERROR_STOP on
\encoding UTF8

BEGIN;

INSERT INTO accounts (name)
SELECT new.name
FROM (VALUES ('Harbour & Finch'), ('青禾文化')) AS new (name)
WHERE NOT EXISTS (SELECT FROM accounts AS a WHERE a.name = new.name);

-- The columns of the file. It names accounts, and the queue needs their ids.
CREATE TEMPORARY TABLE topics (
    account text, topic text, keywords text, category text, requirements text, tone text, priority integer
) ON COMMIT DROP;

\copy topics FROM 'docs/example/topics.csv' CSV HEADER

INSERT INTO content_generation_tasks (account_id, topic, keywords, category, requirements, tone, priority)
SELECT a.id, t.topic, t.keywords, t.category, t.requirements, t.tone, t.priority
FROM topics AS t
JOIN accounts AS a ON a.name = t.account;

COMMIT;

SELECT status, tasks, oldest_age FROM contentq.queue_overview;
