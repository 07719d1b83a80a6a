-- Tells reviewers who listen that content waits for them, if settings.notify_reviewers asks for it.
-- Called by: store() and revise(), when they have stored content that is pending. Locks: nothing. Returns: nothing.
-- PostgreSQL sends it once for a transaction, at its commit. As with notify_ready(): not when the queue of notifications is
-- half full, since a full one would refuse the report.
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
    'Internal: notifies channel contentq_review, without a payload, when settings.notify_reviewers is on.';
