-- Refuses an UPDATE that writes back a row as it was before the queue changed it.
-- Called by: the trigger content_generation_tasks_stale, whose condition finds such updates: attempt would decrease, a
--            worker would hold a task that it has not claimed, or a completed task would lose its result and not be
--            completed any more.
-- Locks: nothing. Returns: never.
-- Raises: CQ002.
CREATE OR REPLACE FUNCTION contentq.refuse_stale_update()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'task % (id %) was changed since this row was read: %',
        OLD.task_id,
        OLD.id,
        CASE
            WHEN NEW.attempt < OLD.attempt
            THEN format('it was claimed: attempt is %s, not %s', OLD.attempt, NEW.attempt)
            WHEN OLD.status = 'completed'
            THEN 'it was completed, and the update would delete its result'
            ELSE format('attempt %s has ended, and only claim() assigns a task to a worker', OLD.attempt)
        END
        USING ERRCODE = 'CQ002',
              TABLE = TG_TABLE_NAME,
              SCHEMA = TG_TABLE_SCHEMA,
              HINT = 'Write only the columns that you change. Django: save(update_fields=[...]); Hibernate: '
                     '@DynamicUpdate. To run a task again, call contentq.requeue() or set only status.';
END;
$$;

COMMENT ON FUNCTION contentq.refuse_stale_update() IS
    'Trigger: raises CQ002 for an UPDATE that writes back a row as it was before the queue changed it.';
