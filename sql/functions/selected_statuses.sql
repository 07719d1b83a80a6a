-- Returns the statuses of tasks to which an operation with selectors applies.
-- Called by: matching_tasks(), count_matching(), choose_matching().
-- operation: requeue, cancel or delete; NULL for reading. status: the selector.
-- Locks: nothing. Returns: the statuses; NULL for any.
-- Raises: 22023 for a status that does not exist, or to which the operation does not apply.
CREATE OR REPLACE FUNCTION contentq.selected_statuses(operation text, status text)
RETURNS text[]
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    possible constant text[] := CASE selected_statuses.operation
        -- Rejected content is revised when a reviewer requests it, not together with failed tasks.
        WHEN 'requeue' THEN '{failed,timeout,completed}'::text[]
        WHEN 'cancel' THEN '{pending,processing}'
        WHEN 'delete' THEN '{pending,completed,failed,timeout}'
        ELSE '{pending,processing,completed,failed,timeout}'
    END;
BEGIN
    IF selected_statuses.status <> ALL (possible) THEN
        RAISE EXCEPTION 'cannot % tasks with status %; possible: %',
            coalesce(selected_statuses.operation, 'select'), quote_literal(selected_statuses.status),
            array_to_string(possible, ', ')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN CASE
        WHEN selected_statuses.status IS NOT NULL THEN ARRAY[selected_statuses.status]
        WHEN selected_statuses.operation = 'requeue' THEN '{failed,timeout}'::text[]
        WHEN selected_statuses.operation IS NOT NULL THEN possible
    END;
END;
$$;

COMMENT ON FUNCTION contentq.selected_statuses(text, text) IS
    'Internal: the statuses to which requeue, cancel or delete with selectors applies; NULL for any.';
