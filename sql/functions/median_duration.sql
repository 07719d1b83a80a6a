-- Returns how long tasks of a category take: the median of recently completed ones.
-- Called by: misses_deadline(), sweep_hopeless(), explain_own(), with the setting deadlines.
-- Locks: nothing. Returns: the time; 0 if none was measured. See measure_durations().
-- Like is_held(), it sets no search_path, so that it is inlined.
CREATE OR REPLACE FUNCTION contentq.median_duration(category text)
RETURNS interval
LANGUAGE sql
STABLE
RETURN coalesce(
    (SELECT d.median FROM contentq.durations AS d WHERE d.category = coalesce(median_duration.category, '')),
    interval '0'
);

COMMENT ON FUNCTION contentq.median_duration(text) IS
    'Internal: the median duration of recently completed tasks of a category; 0 if none was measured.';
