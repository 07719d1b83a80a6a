-- Says how long until a scheduled task becomes ready, so that an idle worker sleeps exactly that long.
-- Called by: workers, when a claim found nothing more.
-- Locks: nothing. Returns: the time from now (never negative), NULL when nothing is scheduled.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_scheduled()
RETURNS interval
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(t.scheduled_at - clock_timestamp(), interval '0')
    FROM public.content_generation_tasks AS t
    WHERE t.status = 'pending'
      AND t.scheduled_at IS NOT NULL
      AND t.scheduled_at < 'infinity'
    ORDER BY t.scheduled_at
    LIMIT 1;
$$;

COMMENT ON FUNCTION contentq.next_scheduled() IS
    'Time until the next scheduled task becomes ready; NULL when nothing is scheduled.';
