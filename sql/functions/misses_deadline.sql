-- Checks whether a waiting task can no longer finish by its deadline, according to the median duration of its category.
-- Called by: the functions that choose and explain tasks, with the setting deadlines. Locks: nothing.
-- Returns: true or false; false without a deadline.
-- Like is_held(), it sets no search_path, so that it is inlined.
CREATE OR REPLACE FUNCTION contentq.misses_deadline(timeout_at timestamptz, category text)
RETURNS boolean
LANGUAGE sql
RETURN coalesce(
    misses_deadline.timeout_at <= clock_timestamp() + contentq.median_duration(misses_deadline.category), false
);

COMMENT ON FUNCTION contentq.misses_deadline(timestamptz, text) IS
    'Internal: whether a waiting task cannot finish by its deadline, by the median duration of its category.';
