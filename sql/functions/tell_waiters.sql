-- Tells who waits for a task, or for a batch, that the task has ended, or the last one of the batch.
-- Called by: the deferred triggers content_generation_tasks_ended and ..._deleted, right before a commit, while somebody waits.
-- Locks: nothing, and waits for nothing: no one who waits for a task can hold up who ends it. Returns: NULL (it is ignored).
--
-- A batch is looked at account by account: whoever sees the tasks of one only has no other to wait for.
CREATE OR REPLACE FUNCTION contentq.tell_waiters()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As wake_workers().
    IF current_setting('contentq.notify', true) = 'off' OR TG_RELID <> 'public.content_generation_tasks'::regclass THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'task' AND a.name = OLD.task_id) THEN
        PERFORM contentq.notify_waiters('task', OLD.task_id);
    END IF;
    IF OLD.batch IS NOT NULL
        AND EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'batch' AND a.name = OLD.batch)
        AND NOT contentq.has_unended(OLD.batch, OLD.account_id)
    THEN
        PERFORM contentq.notify_waiters('batch', OLD.batch);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.tell_waiters() IS
    'Trigger: notifies the channels of wait_channel() at the commit of a transaction that ends a task, or the last of a batch.';
