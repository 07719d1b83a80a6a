-- Shows the results of the latest submission: counts by account, the ten most urgent tasks, one article in full.
\set ON_ERROR_STOP on
\encoding UTF8
\pset footer off

CREATE TEMPORARY VIEW latest AS
SELECT t.*, c.title, c.body, c.word_count, c.review_status
FROM content_generation_tasks AS t
LEFT JOIN contents AS c ON c.id = t.content_id
WHERE t.submitted_at = (SELECT max(submitted_at) FROM content_generation_tasks);

\echo By account:
SELECT a.name AS account, l.status, count(*) AS tasks, sum(l.word_count) AS words
FROM latest AS l
JOIN accounts AS a ON a.id = l.account_id
GROUP BY a.id, a.name, l.status
ORDER BY a.id, l.status;

\echo The ten most urgent:
SELECT l.id, l.priority, l.status, l.word_count AS words, l.review_status AS review,
       left(l.title, 46) || CASE WHEN length(l.title) > 46 THEN '…' ELSE '' END AS title
FROM latest AS l
ORDER BY l.priority DESC, l.submitted_at, l.id
LIMIT 10;

\echo The first article in full:
\echo
\pset tuples_only on
\pset format unaligned
SELECT l.body
FROM latest AS l
WHERE l.status = 'completed'
ORDER BY l.priority DESC, l.submitted_at, l.id
LIMIT 1;
