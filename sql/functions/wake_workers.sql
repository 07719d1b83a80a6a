-- Wakes idle workers when a transaction commits that has inserted tasks or made some ready.
-- Called by: the deferred triggers content_generation_tasks_wake and ..._wake_again, together once a transaction, right
--            before its commit.
-- Locks: two advisory locks of the transaction, which it never waits for. Returns: NULL (it is ignored).
--
-- A transaction that notifies holds up every other one that does until its commit is on disk: were each to notify,
-- commits could not share a flush. So one of those that commit at the same time notifies for all. The others are
-- known by the first lock, which all hold until their commits are visible: a claim that comes too early for one of
-- them sees that, and its worker looks again (see claim() and next_claim_in()).
-- The second lock says who notifies. It counts for a twentieth of a second, so that a commit that hangs, or a
-- transaction that goes on after SET CONSTRAINTS IMMEDIATE, keeps none from notifying that comes later.
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- As notify_ready(), which a producer may have no right to call.
    IF pg_notification_queue_usage() < 0.5
        AND (NOT pg_try_advisory_xact_lock_shared(1668183153, 0)
             OR pg_try_advisory_xact_lock(
                 1668183153, 1 + (floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000000)::integer))
    THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.wake_workers() IS
    'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that has inserted '
    'tasks or made some ready; one of several that commit at the same time does it for all.';
