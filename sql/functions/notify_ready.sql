-- Wakes idle workers because there may be tasks to claim.
-- Called by: functions that make due tasks ready, open gates or end pauses. For tasks that are put back to pending, the
--            trigger content_generation_tasks_wake_again wakes workers.
-- Locks: nothing. Returns: nothing.
-- If the notification queue is half full because a session listens but never reads, it notifies nobody: a full queue would
-- fail the transaction. Workers also poll.
CREATE OR REPLACE FUNCTION contentq.notify_ready()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.notify_ready() IS
    'Internal: notifies channel contentq_ready, without a payload, unless the notification queue is filling up.';
