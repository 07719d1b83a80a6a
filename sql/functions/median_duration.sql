-- Says how long tasks of a category take, by the median of those that were completed lately.
-- Called by: misses_deadline(), sweep_hopeless(), explain(), with the setting deadlines.
-- Locks: nothing. Returns: the time; 0 when none was measured. See measure_durations().
-- Like is_held() without a search_path of its own, so that its body becomes part of the query.
CREATE OR REPLACE FUNCTION contentq.median_duration(category text)
RETURNS interval
LANGUAGE sql
STABLE
RETURN coalesce(
    (SELECT d.median FROM contentq.durations AS d WHERE d.category = coalesce(median_duration.category, '')),
    interval '0'
);

COMMENT ON FUNCTION contentq.median_duration(text) IS
    'Internal: how long tasks of a category take: the median of those that were completed lately, 0 when none was.';
