-- Wakes idle workers: there may be something to claim.
-- Called by: functions that find tasks whose time has come, that open gates or that end pauses. Tasks that are put back
--            wake by the trigger content_generation_tasks_wake_again.
-- Locks: nothing. Returns: nothing.
-- When the queue of notifications is half full, because some session listens and never reads, no one is woken:
-- a full one would refuse the whole transaction. Workers also look by themselves.
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
    'Internal: notifies channel contentq_ready, without a payload, unless the queue of notifications is filling up.';
