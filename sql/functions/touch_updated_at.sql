-- Sets updated_at on every update. Also detaches a task that is set to processing by hand from its worker, and sets
-- ready_at of a task that is made ready by hand.
-- Called by: the trigger content_generation_tasks_touch, which is skipped if the statement itself has set updated_at to
--            CURRENT_TIMESTAMP, as every function of contentq does.
-- Locks: nothing. Returns: the row, with updated_at set.
CREATE OR REPLACE FUNCTION contentq.touch_updated_at()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    -- The id of a worker that lost the task earlier, which could otherwise still report that attempt.
    IF NEW.status = 'processing' AND OLD.status <> 'processing' AND NEW.worker_id = OLD.worker_id THEN
        NEW.worker_id := NULL;
    END IF;
    IF NEW.status = 'pending' AND NEW.scheduled_at IS NULL
        AND (OLD.status <> 'pending' OR OLD.scheduled_at IS NOT NULL)
        AND NEW.ready_at IS NOT DISTINCT FROM OLD.ready_at
    THEN
        NEW.ready_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION contentq.touch_updated_at() IS
    'Trigger: sets updated_at to the time of the transaction on every update. A task set to processing by hand '
    'belongs to no worker, and a task made ready by hand gets ready_at.';
