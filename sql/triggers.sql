-- The triggers, each followed by its comment. Like functions and views, each migration creates them again.

-- Roles that may update status may insert tasks in any state: owners, restores, and programs with that right. Other inserts
-- pay only for this condition.
CREATE TRIGGER content_generation_tasks_forged
    BEFORE INSERT ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NOT has_column_privilege('public.content_generation_tasks'::regclass, 'status', 'UPDATE'))
    EXECUTE FUNCTION contentq.refuse_forged_task();

COMMENT ON TRIGGER content_generation_tasks_forged ON public.content_generation_tasks IS
    'Refuses new tasks with forged state or ids from roles that may insert tasks but not update their status.';

CREATE TRIGGER content_generation_tasks_touch
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NEW.updated_at IS DISTINCT FROM CURRENT_TIMESTAMP)
    EXECUTE FUNCTION contentq.touch_updated_at();

COMMENT ON TRIGGER content_generation_tasks_touch ON public.content_generation_tasks IS
    'Sets updated_at on every update; skipped if the statement itself has set it to CURRENT_TIMESTAMP.';

-- An outcome counts for (id, attempt, worker_id): no update except a claim may restore an earlier combination. Updates of
-- the queue's own functions pay only for this condition.
CREATE TRIGGER content_generation_tasks_stale
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (
        NEW.attempt < OLD.attempt
        OR NEW.attempt = OLD.attempt AND NEW.worker_id IS DISTINCT FROM OLD.worker_id AND NEW.worker_id IS NOT NULL
        OR OLD.status = 'completed' AND NEW.status <> 'completed'
           AND (NEW.content_id IS NULL AND OLD.content_id IS NOT NULL OR NEW.result IS NULL AND OLD.result IS NOT NULL)
    )
    EXECUTE FUNCTION contentq.refuse_stale_update();

COMMENT ON TRIGGER content_generation_tasks_stale ON public.content_generation_tasks IS
    'Refuses updates that write back a row as it was before it was claimed or completed.';

-- Fires whichever way a task ends. Tasks without a state pay only for this condition.
CREATE TRIGGER content_generation_tasks_state
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NEW.handler_state IS NOT NULL AND NEW.status <> 'pending' AND NEW.status <> 'processing')
    EXECUTE FUNCTION contentq.forget_handler_state();

COMMENT ON TRIGGER content_generation_tasks_state ON public.content_generation_tasks IS
    'Removes the handler_state of a task that has ended, because no attempt will follow.';

-- No setting can be less than the size in this condition; smaller rows pay only for it. Columns that an update does not set
-- are not checked: a row that is already larger stays.
CREATE TRIGGER content_generation_tasks_size
    BEFORE INSERT OR UPDATE OF
        task_id, topic, keywords, category, requirements, tone, error_message, progress_note
    ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (
        octet_length(concat(
            NEW.task_id, NEW.topic, NEW.keywords, NEW.category, NEW.requirements, NEW.tone, NEW.error_message,
            NEW.progress_note
        )) > 100000
    )
    EXECUTE FUNCTION contentq.refuse_large_text();

COMMENT ON TRIGGER content_generation_tasks_size ON public.content_generation_tasks IS
    'Refuses texts that are larger than settings.max_text_bytes.';

-- Runs once in a transaction that ends tasks, which pays no more if nobody waits. It is a trigger, not a function in the
-- condition of the next one, because roles that update tasks may lack the right to execute it. Conditions avoid IN, which a
-- dump writes differently.
CREATE TRIGGER content_generation_tasks_awaited
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (
        NEW.status <> 'pending' AND NEW.status <> 'processing'
        AND (OLD.status = 'pending' OR OLD.status = 'processing')
        AND coalesce(current_setting('contentq.waiters', true), '') = ''
    )
    EXECUTE FUNCTION contentq.note_waiters();

COMMENT ON TRIGGER content_generation_tasks_awaited ON public.content_generation_tasks IS
    'Checks, once in a transaction that ends tasks, whether any session waits for the end of a task.';

CREATE TRIGGER content_generation_tasks_awaited_deleted
    BEFORE DELETE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (
        (OLD.status = 'pending' OR OLD.status = 'processing')
        AND coalesce(current_setting('contentq.waiters', true), '') = ''
    )
    EXECUTE FUNCTION contentq.note_waiters();

COMMENT ON TRIGGER content_generation_tasks_awaited_deleted ON public.content_generation_tasks IS
    'The same for transactions that delete tasks before they have ended.';

CREATE CONSTRAINT TRIGGER content_generation_tasks_ended
    AFTER UPDATE ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status <> 'pending' AND NEW.status <> 'processing'
        AND (OLD.status = 'pending' OR OLD.status = 'processing')
        AND current_setting('contentq.waiters', true) = 'some'
    )
    EXECUTE FUNCTION contentq.tell_waiters();

COMMENT ON TRIGGER content_generation_tasks_ended ON public.content_generation_tasks IS
    'Notifies sessions that wait for a task, or for its batch, that it has ended, at the commit of the transaction.';

CREATE CONSTRAINT TRIGGER content_generation_tasks_deleted
    AFTER DELETE ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        (OLD.status = 'pending' OR OLD.status = 'processing')
        AND current_setting('contentq.waiters', true) = 'some'
    )
    EXECUTE FUNCTION contentq.tell_waiters();

COMMENT ON TRIGGER content_generation_tasks_deleted ON public.content_generation_tasks IS
    'The same for tasks that are deleted before they have ended.';

-- Deferred triggers fire for each row. The condition is evaluated when the row is inserted and lets one row of a
-- transaction pass.
CREATE CONSTRAINT TRIGGER content_generation_tasks_wake
    AFTER INSERT ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status = 'pending'
        AND current_setting('contentq.has_woken', true) IS DISTINCT FROM 'yes'
        AND set_config('contentq.has_woken', 'yes', true) IS NOT NULL
    )
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS
    'Wakes idle workers once, at the commit of a transaction that inserted tasks.';

-- Fires for tasks that were not ready and now are. Tasks whose scheduled time had passed were ready already: workers wait
-- for that time, and promote_scheduled() only records it.
CREATE CONSTRAINT TRIGGER content_generation_tasks_wake_again
    AFTER UPDATE ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status = 'pending'
        AND (OLD.status <> 'pending' OR OLD.scheduled_at > clock_timestamp())
        AND coalesce(NEW.scheduled_at <= clock_timestamp(), true)
        AND current_setting('contentq.has_woken', true) IS DISTINCT FROM 'yes'
        AND set_config('contentq.has_woken', 'yes', true) IS NOT NULL
    )
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake_again ON public.content_generation_tasks IS
    'Wakes idle workers once, at the commit of a transaction that made tasks ready.';
