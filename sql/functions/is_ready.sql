-- Says whether a task waits for nothing of its own: no time, no deadline that has passed, an attempt left.
-- Called by: the functions that choose, for tasks that they have found by other means, and explain().
-- Locks: nothing. Returns: true or false, never NULL.
-- Like is_held() without a search_path of its own, and with an expression that leaves the planner no index but the
-- primary key.
CREATE OR REPLACE FUNCTION contentq.is_ready(status text, scheduled_at timestamptz, timeout_at timestamptz, attempt integer)
RETURNS boolean
LANGUAGE sql
VOLATILE
RETURN coalesce(
    status = 'pending' AND scheduled_at IS NULL AND attempt < 2147483647
    AND coalesce(timeout_at > clock_timestamp(), true),
    false
);

COMMENT ON FUNCTION contentq.is_ready(text, timestamptz, timestamptz, integer) IS
    'Internal: whether a task with these values waits for nothing of its own.';
