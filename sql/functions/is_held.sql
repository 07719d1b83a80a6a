-- Checks whether a worker holds a task. Together with the attempt, this fences every report.
-- Called by: complete(), store(), fail(), snooze(), release(), report_progress(), enter_gate(), leave_gate(),
-- end_cancelled_or_overdue().
-- Locks: nothing. Returns: true or false, never NULL.
-- It sets no search_path: with one, PostgreSQL would call it for each row instead of inlining it. Its body is parsed when
-- it is created, so the search_path of a session does not affect it.
-- The coalesce leaves the planner no index but the primary key. By its statistics another index may look as good, and every
-- report of a worker would then read all tasks that it holds. The planner estimates that it is true for half of the tasks.
-- With an estimate of one task, reading a whole small table would look better than looking up each id.
CREATE OR REPLACE FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN coalesce(status = 'processing' AND holder = worker_id, false);

COMMENT ON FUNCTION contentq.is_held(text, bigint, bigint) IS
    'Internal: whether a task with this status and worker_id is held by this worker.';
