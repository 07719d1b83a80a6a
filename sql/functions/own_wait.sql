-- Says what of a worker's own keeps it from beginning a task: that it is draining, or that it has only failed.
-- Called by: worker_wait(), workers_wait(). Locks: nothing.
-- Returns: a row for each reason: the time until it may be over (NULL when nobody knows), and why; none when it may begin.
CREATE OR REPLACE FUNCTION contentq.own_wait(worker contentq.workers)
RETURNS TABLE (next_in interval, why text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
    SELECT NULL::interval, 'it is draining: it claims no more and is about to leave'
    WHERE worker.draining
    UNION ALL
    SELECT CASE WHEN r.is_running THEN NULL ELSE f.next_in END,
           format('it has only failed: %s quick failures in a row; it tries one task at a time%s', c.quick_failures,
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
    'Internal: what of a worker''s own keeps it from beginning a task: for how long, and why; no row when nothing.';
