-- Notifies the channel of a task or a batch.
-- Called by: tell_waiters(), forget_awaited() and wait_channel(). Locks: nothing. Returns: the channel.
-- A digest, since a channel has a name of 63 bytes at most. When the queue of notifications is half full, none is sent, as by
-- notify_ready(): who waits looks by itself at times.
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
    'Internal: notifies who waits for a task or a batch, without a payload; returns the name of the channel.';
