-- Checks whether there is, or soon will be, a task for a worker that stops when the queue is empty.
-- Called by: workers that run until the queue is empty. Locks: nothing.
-- categories: those that the worker claims; NULL for all. idle_for: how long it has had nothing to do.
-- Returns: true if a task is ready or waits for its retry, or if a worker without a heartbeat for idle_for holds a task,
--          which is rescued soon. Tasks that producers scheduled for later, tasks of paused accounts and tasks over budget
--          do not count.
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
    'Whether a task is ready, waits for its retry, or is held by a worker without a heartbeat for idle_for. Workers that '
    'stop when the queue is empty call it. Tasks scheduled for later or of blocked accounts do not count.';
