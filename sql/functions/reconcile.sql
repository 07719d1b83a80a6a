-- Releases every task that the database thinks a worker holds and that the worker does not know: the answer
-- to its claim was lost on the way. Without this, such a task would wait for as long as the worker lives.
-- Called by: workers, between two claims; and deregister_worker().
-- Locks: those tasks, in id order. Returns: the ids that went back to pending.
CREATE OR REPLACE FUNCTION contentq.reconcile(worker_id bigint, ids bigint[], attempts integer[])
RETURNS SETOF bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT contentq.release(reconcile.worker_id, array_agg(h.id), array_agg(h.attempt))
    FROM (
        -- A range and an order that only the index on the holders of tasks has; = would make any index do.
        SELECT t.id::bigint AS id, t.attempt
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN reconcile.worker_id AND reconcile.worker_id
          AND t.status = 'processing'
        ORDER BY t.worker_id
    ) AS h
    WHERE (h.id, h.attempt) NOT IN (SELECT r.id, r.attempt
                                    FROM unnest(reconcile.ids, reconcile.attempts) AS r (id, attempt)
                                    WHERE r.id IS NOT NULL AND r.attempt IS NOT NULL)
    HAVING count(*) > 0;
$$;

COMMENT ON FUNCTION contentq.reconcile(bigint, bigint[], integer[]) IS
    'Releases the tasks recorded as held by this worker that are not among the attempts that it knows of (ids with '
    'their attempts); returns their ids. To be called while no claim of the worker is under way.';
