-- Formats how long ago something was: 1 second ago, 5 minutes ago, 3 days ago.
-- Called by: functions whose messages contain a time. Locks: nothing. Returns: the text.
CREATE OR REPLACE FUNCTION contentq.ago(at timestamptz)
RETURNS text
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%s %s%s ago', u.number, u.unit, CASE WHEN u.number <> 1 THEN 's' END)
    FROM (
        SELECT trunc(s.seconds / v.seconds) AS number, v.unit
        FROM (
            SELECT greatest(extract(epoch FROM clock_timestamp()) - extract(epoch FROM ago.at), 0) AS seconds
        ) AS s
        JOIN (VALUES (86400, 'day'), (3600, 'hour'), (60, 'minute'), (1, 'second')) AS v (seconds, unit)
            ON s.seconds >= v.seconds OR v.unit = 'second'
        ORDER BY v.seconds DESC
        LIMIT 1
    ) AS u;
$$;

COMMENT ON FUNCTION contentq.ago(timestamptz) IS 'Internal: how long ago something was, as text.';
