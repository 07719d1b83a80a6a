-- The triggers, each with its comment after it. Like functions and views, they are created anew by each migration.

-- Whoever may update status may insert tasks in any state: owners, restores, and programs that were given it. The condition
-- is all that honest tasks pay.
CREATE TRIGGER content_generation_tasks_forged
    BEFORE INSERT ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NOT has_column_privilege('public.content_generation_tasks'::regclass, 'status', 'UPDATE'))
    EXECUTE FUNCTION contentq.refuse_forged_task();

COMMENT ON TRIGGER content_generation_tasks_forged ON public.content_generation_tasks IS
    'Refuses new tasks with forged state or ids, of roles that may insert tasks and not update their status.';

CREATE TRIGGER content_generation_tasks_touch
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NEW.updated_at IS DISTINCT FROM CURRENT_TIMESTAMP)
    EXECUTE FUNCTION contentq.touch_updated_at();

COMMENT ON TRIGGER content_generation_tasks_touch ON public.content_generation_tasks IS
    'Keeps updated_at on every update; skipped when the statement has set it to CURRENT_TIMESTAMP itself.';

-- An outcome counts for (id, attempt, worker_id): no update but a claim may bring back what once was. The condition is
-- all that the updates of the queue's own functions pay.
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

-- Whoever ends a task, and however: the condition is all that tasks without a state pay.
CREATE TRIGGER content_generation_tasks_state
    BEFORE UPDATE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (NEW.handler_state IS NOT NULL AND NEW.status <> 'pending' AND NEW.status <> 'processing')
    EXECUTE FUNCTION contentq.forget_handler_state();

COMMENT ON TRIGGER content_generation_tasks_state ON public.content_generation_tasks IS
    'Forgets what a handler has kept for the next attempt, when there will be none.';

-- No setting can be less than the size in this condition, which is all that other rows pay. Columns that the update does
-- not name are not looked at: a row that is larger already goes on.
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

-- Asked once a transaction that ends tasks: all that they pay when nobody waits. A trigger, and no function in the condition
-- of the next one, since whoever updates a task need not be allowed to execute it. Conditions without IN: a dump writes that
-- in other words.
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
    'Looks, once a transaction that ends tasks, whether somebody waits for the end of any.';

CREATE TRIGGER content_generation_tasks_awaited_deleted
    BEFORE DELETE ON public.content_generation_tasks
    FOR EACH ROW
    WHEN (
        (OLD.status = 'pending' OR OLD.status = 'processing')
        AND coalesce(current_setting('contentq.waiters', true), '') = ''
    )
    EXECUTE FUNCTION contentq.note_waiters();

COMMENT ON TRIGGER content_generation_tasks_awaited_deleted ON public.content_generation_tasks IS
    'The same for a transaction that deletes tasks before they have ended.';

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
    'Tells who waits for a task, or for its batch, that it has ended, at the commit of the transaction.';

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

-- Deferred triggers are for each row; the condition, which is evaluated when the row is inserted, lets one row of a
-- transaction pass.
CREATE CONSTRAINT TRIGGER content_generation_tasks_wake
    AFTER INSERT ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status = 'pending'
        AND current_setting('contentq.has_woken', true) IS DISTINCT FROM 'yes'
        AND set_config('contentq.has_woken', 'yes', true) = 'yes'
    )
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS
    'Wakes idle workers, once a transaction that has inserted tasks, at its commit.';

-- Fires for tasks that were not ready and now are. Those whose time had come were ready already: workers wait for it,
-- and promote_scheduled() only notes it.
CREATE CONSTRAINT TRIGGER content_generation_tasks_wake_again
    AFTER UPDATE ON public.content_generation_tasks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (
        NEW.status = 'pending'
        AND (OLD.status <> 'pending' OR OLD.scheduled_at > clock_timestamp())
        AND coalesce(NEW.scheduled_at <= clock_timestamp(), true)
        AND current_setting('contentq.has_woken', true) IS DISTINCT FROM 'yes'
        AND set_config('contentq.has_woken', 'yes', true) = 'yes'
    )
    EXECUTE FUNCTION contentq.wake_workers();

COMMENT ON TRIGGER content_generation_tasks_wake_again ON public.content_generation_tasks IS
    'Wakes idle workers, once a transaction that has made tasks ready, at its commit.';
