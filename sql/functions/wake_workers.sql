-- Wakes idle workers after an INSERT.
-- Called by: the statement-level trigger content_generation_tasks_wake, so at most one notification a
--            statement; PostgreSQL folds equal ones of a transaction into one.
-- Locks: nothing. Returns: NULL (the result of an AFTER trigger is ignored).
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As notify_ready(), which a producer may have no right to call.
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.wake_workers() IS
    'Trigger: notifies channel contentq_ready, without a payload, once per inserting statement.';
