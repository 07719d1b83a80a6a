-- How long completed tasks waited after becoming ready, and ran, in the last 5 minutes, hour and day, for each grouping.
-- It counts the last 10,000 completed tasks of a period at most. latency() returns one period and one grouping.
CREATE OR REPLACE VIEW contentq.latency WITH (security_invoker = true) AS
SELECT p.period, k.by, l.key, l.tasks, l.wait_p50, l.wait_p95, l.wait_p99, l.run_p50, l.run_p95, l.run_p99, l.since
FROM (VALUES (1, '5 minutes', interval '5 minutes'), (2, 'hour', interval '1 hour'), (3, 'day', interval '1 day'))
    AS p (place, period, length)
CROSS JOIN (VALUES (1, 'all', NULL), (2, 'account', 'account'), (3, 'category', 'category'), (4, 'priority', 'priority'))
    AS k (place, by, argument)
CROSS JOIN LATERAL contentq.latency(p.length, k.argument) AS l
ORDER BY p.place, k.place, l.tasks DESC, l.key;

COMMENT ON VIEW contentq.latency IS
    'Percentiles, in seconds, of how long completed tasks waited after becoming ready, and of how long they ran: for the '
    'last 5 minutes, hour and day, for all and by account, category and priority.';
