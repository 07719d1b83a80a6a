-- Rescues the tasks of workers without a recent heartbeat, and removes those workers.
-- Called by: cron and operators; several calls at once are safe.
-- Locks: as rescue_silent(); it never waits for a task. At most 1000 tasks per call.
-- Returns: how many tasks it rescued.
CREATE OR REPLACE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '10 seconds')
RETURNS integer
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT contentq.rescue_silent(clock_timestamp() - rescue_dead_workers.silence);
$$;

COMMENT ON FUNCTION contentq.rescue_dead_workers(interval) IS
    'Rescues the tasks of workers that sent no heartbeat for this long, and removes those workers. The tasks are pending '
    'again with one retry charged, or failed if none is left; no retry is charged if the worker was draining. At most '
    '1000 tasks per call; returns how many.';
