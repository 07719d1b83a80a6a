-- Says when the running period of a budget ends, and what is used up goes on.
-- Called by: views, explain(). Locks: nothing. Returns: the time, a midnight of UTC.
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
    'Internal: when the running day or month (UTC) of a budget ends.';
