-- 0003, undone.

DROP VIEW contentq.backlog_by_account;
DROP VIEW contentq.queue_overview;
DROP VIEW contentq.recent_failures;
DROP VIEW contentq.running_tasks;
DROP VIEW contentq.throughput;
DROP VIEW contentq.worker_status;
