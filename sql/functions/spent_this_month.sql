-- Sums what an account's attempts have cost since the first of the month (UTC).
-- Called by: account_room(), admit(), explain(), the view usage_by_account. Locks: nothing. Returns: the cost, 0 for none.
CREATE OR REPLACE FUNCTION contentq.spent_this_month(account_id bigint)
RETURNS numeric
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce(sum(u.cost), 0)
        FROM contentq.usage AS u
        WHERE u.account_id = spent_this_month.account_id
          AND u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
    );
END;
$$;

COMMENT ON FUNCTION contentq.spent_this_month(bigint) IS
    'What the attempts at an account''s tasks have cost since the first of this month (UTC).';
