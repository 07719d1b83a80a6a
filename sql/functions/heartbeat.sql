-- Keeps a worker alive and tells it which tasks to stop.
-- Called by: every worker, every 2 seconds.
-- Locks: its own row; rows of tasks to be told about in id order, skipping those that others hold, so
--        that nobody's open transaction can make a live worker look dead.
-- Returns: (id, attempt) of tasks that it should stop: cancelled ones, at every call until they end; and
--          ones no longer its own (swept, or changed by hand), once.
-- Raises: CQ001 when the worker is not registered (any more).
CREATE OR REPLACE FUNCTION contentq.heartbeat(worker_id bigint, busy integer DEFAULT NULL)
RETURNS TABLE (id bigint, attempt integer)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    UPDATE contentq.workers AS w
    SET heartbeat_at = clock_timestamp(),
        busy = coalesce(heartbeat.busy, w.busy)
    WHERE w.id = heartbeat.worker_id;
    IF NOT FOUND THEN
        PERFORM contentq.raise_not_registered(heartbeat.worker_id);
    END IF;

    RETURN QUERY
    WITH revoked AS MATERIALIZED (
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id = heartbeat.worker_id
          AND t.status <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    ),
    told AS (
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM revoked AS r
        WHERE t.id = r.id
        RETURNING t.id, t.attempt
    )
    SELECT d.id::bigint, d.attempt
    FROM told AS d
    UNION ALL
    SELECT t.id::bigint, t.attempt
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = heartbeat.worker_id
      AND t.status || '' = 'processing'
      AND t.cancel_requested_at IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.heartbeat(bigint, integer) IS
    'Keeps a worker alive (10 seconds of silence and its tasks are rescued) and returns (id, attempt) of the '
    'tasks that it should stop: cancelled, or no longer its own. busy: tasks that it is running. '
    'Raises CQ001 when it is not registered.';
