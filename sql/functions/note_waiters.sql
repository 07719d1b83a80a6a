-- Notes, for the rest of a transaction, whether somebody waits for the end of any task or batch.
-- Called by: the triggers content_generation_tasks_awaited and ..._awaited_deleted, once a transaction that ends tasks, or
-- deletes some that have not ended. Locks: nothing.
-- Returns: the row as it is.
-- Who begins to wait after this look is told by forget_awaited(), should these tasks be theirs; wait_channel() that is called
-- once more waits for the transaction.
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
    'Trigger: notes whether somebody waits for the end of any task, for the rest of the transaction.';
