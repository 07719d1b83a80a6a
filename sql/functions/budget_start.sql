-- Returns the first day (UTC) of the current period of a budget.
-- Called by: functions that sum usage. Locks: nothing. Returns: the day. The period ends a day or a month later.
CREATE OR REPLACE FUNCTION contentq.budget_start(period text)
RETURNS date
LANGUAGE sql
VOLATILE
RETURN date_trunc(period, clock_timestamp() AT TIME ZONE 'UTC')::date;

COMMENT ON FUNCTION contentq.budget_start(text) IS
    'Internal: the first day (UTC) of the current day or month of a budget.';
