-- Lists what in the state of a worker keeps it from starting a task: it is draining, or it keeps failing.
-- Called by: worker_wait(), workers_wait(). Locks: nothing.
-- Returns: a row for each reason: the time until it may end (NULL: not known), and why; no rows if the worker may start a
--          task.
CREATE OR REPLACE FUNCTION contentq.own_wait(worker contentq.workers)
RETURNS TABLE (next_in interval, why text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
    SELECT NULL::interval, 'it is draining: it claims no more tasks and is about to stop'
    WHERE worker.draining
    UNION ALL
    SELECT CASE WHEN r.is_running THEN NULL ELSE f.next_in END,
           format('it keeps failing: %s quick failures in a row; it tries one task at a time%s', c.quick_failures,
                  CASE WHEN r.is_running THEN ', and one is running'
                       ELSE format(', the next in %s s', round(extract(epoch FROM f.next_in)::numeric, 1)) END)
    FROM contentq.claimers AS c
    CROSS JOIN contentq.failing_wait(worker.id) AS f (next_in)
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT
                       FROM public.content_generation_tasks AS t
                       WHERE t.worker_id = c.worker_id
                         AND t.status = 'processing') AS is_running
    ) AS r
    WHERE c.worker_id = worker.id
      AND (f.next_in > interval '0' OR f.next_in IS NOT NULL AND r.is_running);
$$;

COMMENT ON FUNCTION contentq.own_wait(contentq.workers) IS
    'Internal: what in the state of a worker keeps it from starting a task: for how long, and why; no rows for nothing.';
