-- Checks whether nothing in a task itself keeps it from starting: no future time, no passed deadline, an attempt left.
-- Called by: the functions that choose tasks, for tasks found by other means, and explain().
-- Locks: nothing. Returns: true or false, never NULL.
-- Like is_held(), it sets no search_path, and its expression leaves the planner no index but the primary key.
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
    'Internal: whether nothing in a task with these values keeps it from starting.';
