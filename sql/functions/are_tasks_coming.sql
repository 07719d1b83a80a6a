-- Says whether transactions are about to commit tasks that no one may have been notified of.
-- Called by: claim(). Locks: nothing. Returns: whether one that has locked a row of silent_commits is still in progress.
--
-- A row that was locked carries the id of the transaction that has done it, the last one, as its xmax: it is read, not
-- tried, since trying would write, and would hold up the transactions that commit. An id that is older than all that are
-- in progress says nothing; of the others, which may be those of subtransactions, PostgreSQL is asked. An xmax lacks the
-- epoch, which is that of the ids around it.
CREATE OR REPLACE FUNCTION contentq.are_tasks_coming()
RETURNS boolean
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT
        FROM (SELECT pg_current_snapshot() AS of_now OFFSET 0) AS s
        CROSS JOIN contentq.silent_commits AS c
        WHERE age(c.xmax) <= age(pg_snapshot_xmin(s.of_now)::xid)
          AND pg_xact_status(((pg_snapshot_xmax(s.of_now)::text)::bigint
                              + age(pg_snapshot_xmax(s.of_now)::xid) - age(c.xmax))::text::xid8) = 'in progress'
    );
$$;

COMMENT ON FUNCTION contentq.are_tasks_coming() IS
    'Internal: whether transactions are about to commit tasks that no one may have been notified of.';
