-- Says which session a transaction belongs to, such as the one that has locked a row, whose id is the row's xmax.
-- Called by: heartbeat(), maintain(), locked_tasks() and doctor_workers(), for what they say of a lock. Locks: nothing.
-- Returns: its process id, and what the caller may know of it; another session when it is over, or when several have
--          locked the row (then its xmax is no transaction).
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
    'Internal: the session that a transaction belongs to, for messages.';
