-- Records, for the rest of a transaction, whether any session waits for the end of a task or batch.
-- Called by: the triggers content_generation_tasks_awaited and ..._awaited_deleted, once in a transaction that ends tasks,
-- or deletes some that have not ended. Locks: nothing.
-- Returns: the row unchanged.
-- A session that begins to wait after this check is notified by forget_awaited() if these tasks are its own; a second call
-- of wait_channel() waits for the transaction.
CREATE OR REPLACE FUNCTION contentq.note_waiters()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found constant text := CASE WHEN EXISTS (SELECT FROM contentq.awaited) THEN 'some' ELSE 'none' END;
BEGIN
    PERFORM set_config('contentq.waiters', found, true);
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END;
$$;

COMMENT ON FUNCTION contentq.note_waiters() IS
    'Trigger: records whether any session waits for the end of a task, for the rest of the transaction.';
