-- Notifies the sessions that wait for a task that has ended, or for a batch whose last task has ended.
-- Called by: the deferred triggers content_generation_tasks_ended and ..._deleted, right before a commit, while sessions
--            wait.
-- Locks: nothing. It waits for nothing, so no waiting session can delay the transaction. Returns: NULL (ignored).
--
-- A batch is checked account by account: a session that sees only the tasks of one account waits only for those. A
-- transaction may end very many tasks of a batch. So it remembers in the setting contentq.batches_told a task that has not
-- ended, which it checks first, or that it has notified already.
CREATE OR REPLACE FUNCTION contentq.tell_waiters()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    told text;
    key text;
    remembered text;
    unended bigint;
BEGIN
    -- For the reasons, see wake_workers().
    IF current_setting('contentq.notify', true) = 'off' OR TG_RELID <> 'public.content_generation_tasks'::regclass THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'task' AND a.name = OLD.task_id) THEN
        PERFORM contentq.notify_waiters('task', OLD.task_id);
    END IF;
    IF OLD.batch IS NULL
        OR NOT EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'batch' AND a.name = OLD.batch)
    THEN
        RETURN NULL;
    END IF;

    told := coalesce(current_setting('contentq.batches_told', true), '');
    key := md5(format('%s %s', OLD.account_id, OLD.batch));
    remembered := substring(told FROM key || '=(told|-?[0-9]{1,18});');
    IF remembered = 'told' THEN
        RETURN NULL;
    END IF;
    unended := contentq.unended_task(OLD.batch, OLD.account_id, remembered::bigint);
    IF unended IS NULL THEN
        PERFORM contentq.notify_waiters('batch', OLD.batch);
    END IF;
    IF remembered::bigint IS DISTINCT FROM unended OR unended IS NULL THEN
        told := regexp_replace(told, key || '=[^;]*;', '') || format('%s=%s;', key, coalesce(unended::text, 'told'));
        PERFORM set_config('contentq.batches_told', told, true);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.tell_waiters() IS
    'Trigger: notifies the channels of wait_channel() at the commit of a transaction that ends a task, or the last of a '
    'batch.';
