-- Notifies the sessions that wait for a task that has ended, or for a batch whose last task has ended.
-- Called by: the deferred triggers content_generation_tasks_ended and ..._deleted, right before a commit, while sessions
--            wait.
-- Locks: nothing. It waits for nothing, so no waiting session can delay the transaction. Returns: NULL (ignored).
--
-- A batch is checked account by account: a session that sees only the tasks of one account waits only for those. A
-- transaction may end very many tasks of a batch, and tasks of very many batches. So it remembers for each batch and account
-- a task that has not ended, which it checks first, or that it has notified already. This is kept in 256 settings of the
-- transaction, contentq.batches_told_00 to ff, by the digest of batch and account: a single one would grow with each batch
-- and be read again for each task, and one for each batch would stay in a pooled session for good.
CREATE OR REPLACE FUNCTION contentq.tell_waiters()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key text;
    setting text;
    told text;
    place integer;
    remembered text;
    found_before bigint;
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

    key := md5(format('%s %s', OLD.account_id, OLD.batch));
    setting := 'contentq.batches_told_' || left(key, 2);
    told := coalesce(current_setting(setting, true), '');
    place := strpos(told, key || '=');
    IF place > 0 THEN
        remembered := split_part(substr(told, place + 33, 21), ';', 1);
        IF remembered = 'told' THEN
            RETURN NULL;
        ELSIF remembered ~ '^-?[0-9]{1,18}$' THEN
            found_before := remembered::bigint;
        END IF;
    END IF;
    unended := contentq.unended_task(OLD.batch, OLD.account_id, found_before);
    IF unended IS NULL THEN
        PERFORM contentq.notify_waiters('batch', OLD.batch);
    END IF;
    IF unended IS NULL OR unended IS DISTINCT FROM found_before THEN
        IF place > 0 THEN
            told := replace(told, format('%s=%s;', key, remembered), '');
        END IF;
        -- At the beginning, before anything that a session has left behind.
        PERFORM set_config(setting, format('%s=%s;', key, coalesce(unended::text, 'told')) || told, true);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.tell_waiters() IS
    'Trigger: notifies the channels of wait_channel() at the commit of a transaction that ends a task, or the last of a '
    'batch.';
