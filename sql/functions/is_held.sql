-- Says whether a task is held by a worker: together with the attempt, what every report is fenced by.
-- Called by: complete(), store(), fail(), snooze(), release(), report_progress(), enter_gate(), leave_gate(),
-- end_cancelled_or_overdue().
-- Locks: nothing. Returns: true or false, never NULL.
-- The only function without a search_path of its own: with one, PostgreSQL would call it for each row instead of putting
-- its body into the query. Its body is parsed when it is created, so that no search_path means anything to it.
-- The coalesce leaves the planner no index but the primary key. By its statistics another one may look as good, and
-- then every report of a worker would read all the tasks that it holds. It is also estimated to hold for half of the
-- tasks: were that one task, reading a whole small table by its ids would look better than looking up each id.
CREATE OR REPLACE FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN coalesce(status = 'processing' AND holder = worker_id, false);

COMMENT ON FUNCTION contentq.is_held(text, bigint, bigint) IS
    'Internal: whether a task with this status and worker_id is held by this worker.';
