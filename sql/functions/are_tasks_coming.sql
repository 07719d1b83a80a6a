-- Checks whether transactions are about to commit tasks of which no worker may have been notified.
-- Called by: claim(). Locks: nothing. Returns: whether a transaction that locked a row of silent_commits is in progress.
--
-- A locked row has the id of the last transaction that locked it as its xmax. The id is read; trying the lock would write
-- and delay the committing transactions. An id older than all transactions in progress has ended. PostgreSQL reports the
-- state of the others, which may be subtransactions. An xmax lacks the epoch, which is taken from the ids around it.
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
    'Internal: whether transactions are about to commit tasks of which no worker may have been notified.';
