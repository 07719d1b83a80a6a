-- Describes the session of a transaction, such as the one that has locked a row; its id is the xmax of the row.
-- Called by: heartbeat(), maintain(), locked_tasks() and doctor_workers(), for messages about locks. Locks: nothing.
-- Returns: its process id, and what the caller may see of it; "another session" if the transaction is over, or if several
--          have locked the row (then its xmax is not a transaction).
CREATE OR REPLACE FUNCTION contentq.lock_holder(holder xid)
RETURNS text
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT contentq.session_text(l.pid)
         FROM pg_locks AS l
         WHERE l.locktype = 'transactionid'
           AND l.transactionid = lock_holder.holder
           AND l.granted
         LIMIT 1),
        'another session'
    );
$$;

COMMENT ON FUNCTION contentq.lock_holder(xid) IS
    'Internal: the session of a transaction, for messages.';
