-- Removes the handler_state of a task that has ended.
-- Called by: the trigger content_generation_tasks_state. Locks: nothing. Returns: the row, without handler_state.
CREATE OR REPLACE FUNCTION contentq.forget_handler_state()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.handler_state := NULL;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION contentq.forget_handler_state() IS
    'Trigger: removes the handler_state of a task that has ended.';
