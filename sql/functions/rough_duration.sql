-- Formats a time for people who want to know how long to wait.
-- Called by: explain_order(). Locks: nothing. Returns: such as "12 seconds", "4 minutes", "3 hours".
CREATE OR REPLACE FUNCTION contentq.rough_duration(seconds float8)
RETURNS text
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%s %s%s', d.number, d.unit, CASE WHEN d.number = 1 THEN '' ELSE 's' END)
    FROM (
        SELECT round(rough_duration.seconds / u.seconds) AS number, u.unit
        FROM (VALUES (1, 'second', 90), (60, 'minute', 5400), (3600, 'hour', 172800), (86400, 'day', NULL))
            AS u (seconds, unit, until)
        WHERE rough_duration.seconds < u.until
           OR u.until IS NULL
        ORDER BY u.seconds
        LIMIT 1
    ) AS d;
$$;

COMMENT ON FUNCTION contentq.rough_duration(float8) IS
    'Internal: a number of seconds as text, in seconds, minutes, hours or days.';
