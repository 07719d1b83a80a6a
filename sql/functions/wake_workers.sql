-- Wakes idle workers when a transaction commits that has inserted tasks or made some ready.
-- Called by: the deferred triggers content_generation_tasks_wake and ..._wake_again, together once a transaction, right
--            before its commit.
-- Locks: a row of wakeups or of silent_commits; it waits for neither. Returns: NULL (it is ignored).
--
-- A transaction that notifies holds up every other one that does until its commit is on disk: were each to notify,
-- commits could not share a flush. So one of those that commit at the same time notifies for all: the one that gets
-- the row of this twentieth of a second. A commit that hangs, or a transaction that goes on after SET CONSTRAINTS
-- IMMEDIATE, keeps that row, and so none from notifying that comes later. Each of the others locks a row of silent_commits
-- until its commit is visible: a claim that comes too early for one of them sees that, and its worker looks again (see
-- claim() and next_claim_in()). One whose row is taken notifies.
-- Both are taken with the rights of the owner: producers need none for it, and no one else can lock them. As a trigger of
-- another table, which anyone could have, it takes no row.
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_slot constant integer := floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000;
BEGIN
    -- A session can say that it does without: a transaction that has notified cannot be prepared for a two-phase commit.
    IF current_setting('contentq.notify', true) = 'off' OR pg_notification_queue_usage() >= 0.5 THEN
        RETURN NULL;
    END IF;
    IF TG_RELID = 'public.content_generation_tasks'::regclass THEN
        PERFORM FROM contentq.wakeups AS w WHERE w.slot = this_slot FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            PERFORM
            FROM contentq.silent_commits AS c
            WHERE c.place = pg_backend_pid() % 64
              AND EXISTS (SELECT FROM contentq.wakeups AS w WHERE w.slot = this_slot)
            FOR NO KEY UPDATE OF c SKIP LOCKED;
            IF FOUND THEN
                RETURN NULL;
            END IF;
        END IF;
    END IF;
    -- As notify_ready().
    PERFORM pg_notify('contentq_ready', '');
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.wake_workers() IS
    'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that has inserted '
    'tasks or made some ready; one of several that commit at the same time does it for all.';
