-- Returns when the current period of a budget ends and a used-up budget is available again.
-- Called by: used_up_budgets(), explain_budgets(), views. Locks: nothing. Returns: the time, a midnight in UTC.
CREATE OR REPLACE FUNCTION contentq.budget_end(period text)
RETURNS timestamptz
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (contentq.budget_start(budget_end.period)
            + CASE budget_end.period WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END) AT TIME ZONE 'UTC';
$$;

COMMENT ON FUNCTION contentq.budget_end(text) IS
    'Internal: when the current day or month (UTC) of a budget ends.';
