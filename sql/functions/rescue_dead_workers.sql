-- Takes tasks back from workers that have gone silent, and removes those workers.
-- Called by: cron and operators; safe from several places at once.
-- Locks: as rescue_silent(); it never waits for a task. At most 1000 tasks a call.
-- Returns: how many tasks it took back.
CREATE OR REPLACE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '10 seconds')
RETURNS integer
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT contentq.rescue_silent(clock_timestamp() - rescue_dead_workers.silence);
$$;

COMMENT ON FUNCTION contentq.rescue_dead_workers(interval) IS
    'Puts the tasks of workers that have been silent for longer than this back to pending, one retry charged '
    '(failed when none is left; nothing charged when the worker had been told to stop), and removes those workers. At most 1000 tasks a call; returns how many.';
