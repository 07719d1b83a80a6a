-- Notifies the channel of a task or a batch.
-- Called by: tell_waiters(), forget_awaited() and wait_channel(). Locks: nothing. Returns: the channel.
-- The name is a digest because channel names have at most 63 bytes. If the notification queue is half full, nothing is
-- sent, as in notify_ready(): waiting sessions also poll.
CREATE OR REPLACE FUNCTION contentq.notify_waiters(kind text, name text, sends boolean DEFAULT true)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    channel constant text := format('contentq_%s_%s', notify_waiters.kind, md5(notify_waiters.name));
BEGIN
    IF notify_waiters.sends AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify(channel, '');
    END IF;
    RETURN channel;
END;
$$;

COMMENT ON FUNCTION contentq.notify_waiters(text, text, boolean) IS
    'Internal: notifies the sessions that wait for a task or a batch, without a payload; returns the channel.';
