-- Says whether a waiting task cannot finish by its deadline any more, by the median duration of its category.
-- Called by: the functions that choose and explain, with the setting deadlines. Locks: nothing.
-- Returns: true or false; false without a deadline.
-- Like is_held() without a search_path of its own, so that its body becomes part of the query.
CREATE OR REPLACE FUNCTION contentq.misses_deadline(timeout_at timestamptz, category text)
RETURNS boolean
LANGUAGE sql
RETURN coalesce(
    misses_deadline.timeout_at <= clock_timestamp() + contentq.median_duration(misses_deadline.category), false
);

COMMENT ON FUNCTION contentq.misses_deadline(timestamptz, text) IS
    'Internal: whether a waiting task cannot finish by its deadline, by the median duration of its category.';
