-- Says whether there is, or will soon be, something to do for a worker that is to end when nothing is left.
-- Called by: workers that run until the queue is empty. Locks: nothing.
-- categories: those that it claims, NULL for all. idle_for: how long it has had nothing to do.
-- Returns: true when a task is ready, or waits for its retry; or when one is held by a worker that was not heard for
--          idle_for: it is rescued soon. Tasks that producers have scheduled for later do not count, nor do those of
--          accounts that are paused, nor those of which a budget is used up.
CREATE OR REPLACE FUNCTION contentq.anything_waits(categories text[], idle_for interval)
RETURNS boolean
LANGUAGE sql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH used_up AS MATERIALIZED (
        SELECT u.account_id, u.category FROM contentq.used_up_budgets() AS u
    )
    SELECT EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND (t.scheduled_at IS NULL OR t.attempt > 0)
          AND t.account_id <> ALL (ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.paused_until > clock_timestamp()))
          AND (t.handler_state ? 'asked_by_attempt' OR NOT EXISTS (
              SELECT
              FROM used_up AS u
              WHERE (u.account_id IS NULL OR u.account_id = t.account_id)
                AND (u.category IS NULL OR u.category = left(t.category, 200))
          ))
          AND (anything_waits.categories IS NULL OR t.category = ANY (anything_waits.categories))
    ) OR EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
          AND coalesce(w.heartbeat_at < clock_timestamp() - anything_waits.idle_for, true)
    );
$$;

COMMENT ON FUNCTION contentq.anything_waits(text[], interval) IS
    'Whether a task is ready, waits for its retry, or is held by a worker that was not heard for idle_for: what a worker '
    'asks that is to end when nothing is left. Tasks scheduled for later or of blocked accounts do not count.';
