-- Checks whether another transaction is changing a row or has locked it. holder: the xmax of the row.
-- Called by: unended_task() and wait_channel(). Locks: nothing. Returns: true if that transaction is in progress, or if the
-- caller, with an older snapshot, does not see its changes.
-- It reads the state, as are_tasks_coming() does; trying the lock would take it. If several transactions have locked the
-- row, its xmax is not a transaction, and the result means little.
CREATE OR REPLACE FUNCTION contentq.is_changing(holder xid)
RETURNS boolean
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN is_changing.holder = 0 OR age(is_changing.holder) > age(pg_snapshot_xmin(s.of_now)::xid) THEN false
        -- It began after the snapshot.
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
    'Internal: whether the transaction in the xmax of a row is in progress or not visible to the caller.';
