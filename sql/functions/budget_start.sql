-- Says on which day (UTC) the running period of a budget has begun.
-- Called by: what sums usage. Locks: nothing. Returns: the day. The period ends a day, or a month, later.
CREATE OR REPLACE FUNCTION contentq.budget_start(period text)
RETURNS date
LANGUAGE sql
VOLATILE
RETURN date_trunc(period, clock_timestamp() AT TIME ZONE 'UTC')::date;

COMMENT ON FUNCTION contentq.budget_start(text) IS
    'Internal: the day (UTC) on which the running day or month of a budget has begun.';
