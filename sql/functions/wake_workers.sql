-- Wakes idle workers when a transaction that inserted tasks or made some ready commits.
-- Called by: the deferred triggers content_generation_tasks_wake and ..._wake_again, together once a transaction, right
--            before its commit.
-- Locks: a row of wakeups or of silent_commits; it waits for neither. Returns: NULL (ignored).
--
-- A transaction that notifies blocks every other notifying transaction until its commit is on disk. If each one notified,
-- commits could not share a flush. So one of the transactions that commit at the same time notifies for all: the one that
-- locks the row of the current twentieth of a second. If its commit hangs, or if it continues after SET CONSTRAINTS
-- IMMEDIATE, it keeps only that row, so later transactions still notify. Each of the others locks a row of silent_commits
-- until its commit is visible. A claim that comes too early to see the tasks sees that lock, and its worker claims again
-- (see claim() and next_claim_in()). A transaction whose row of silent_commits is locked notifies as well.
-- Both rows are locked with the rights of the owner: producers need no rights on them, and nobody else can lock them. As a
-- trigger of another table, which anyone could create, the function locks no row.
CREATE OR REPLACE FUNCTION contentq.wake_workers()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_slot constant integer := floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000;
BEGIN
    -- A session can disable it: a transaction that has notified cannot be prepared for a two-phase commit.
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
    'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that inserted tasks or '
    'made some ready; of several that commit at the same time, one notifies for all.';
