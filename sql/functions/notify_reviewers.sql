-- Notifies listening reviewers that content waits for review, if settings.notify_reviewers is on.
-- Called by: store() and revise(), after they stored pending content. Locks: nothing. Returns: nothing.
-- PostgreSQL sends it once per transaction, at its commit. As in notify_ready(), it sends nothing if the notification queue
-- is half full, because a full queue would fail the report.
CREATE OR REPLACE FUNCTION contentq.notify_reviewers()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT s.notify_reviewers FROM contentq.settings AS s) AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_review', '');
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.notify_reviewers() IS
    'Internal: notifies channel contentq_review, without a payload, if settings.notify_reviewers is on.';
