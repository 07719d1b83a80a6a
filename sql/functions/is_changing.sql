-- Says whether another transaction is changing a row, or has it locked; xmax is the row's.
-- Called by: tell_waiters() and wait_channel(). Locks: nothing. Returns: whether that transaction is in progress, or
-- the caller, which has an older snapshot, does not see what it has changed.
-- It is read, not tried, as in are_tasks_coming(): trying would lock the row. When several have locked a row, its xmax is no
-- transaction, and the answer says little.
CREATE OR REPLACE FUNCTION contentq.is_changing(holder xid)
RETURNS boolean
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN is_changing.holder = 0 OR age(is_changing.holder) > age(pg_snapshot_xmin(s.of_now)::xid) THEN false
        -- It has begun since.
        WHEN age(is_changing.holder) <= age(pg_snapshot_xmax(s.of_now)::xid) THEN true
        ELSE (
            SELECT pg_xact_status(x.id) = 'in progress'
                   OR pg_xact_status(x.id) = 'committed' AND NOT pg_visible_in_snapshot(x.id, s.of_now)
            FROM (
                SELECT ((pg_snapshot_xmax(s.of_now)::text)::bigint
                        + age(pg_snapshot_xmax(s.of_now)::xid) - age(is_changing.holder))::text::xid8 AS id
            ) AS x
        )
    END
    FROM (SELECT pg_current_snapshot() AS of_now OFFSET 0) AS s;
$$;

COMMENT ON FUNCTION contentq.is_changing(xid) IS
    'Internal: whether the transaction that is the xmax of a row is in progress, or is not seen by the caller.';
