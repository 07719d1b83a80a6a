-- Lists the live workers, those that claim a category first, and why each may not start a task.
-- Called by: explain_workers(). Locks: nothing.
-- Returns: each worker that has a recent heartbeat and is not draining: busy: how many tasks it has; suits: whether it
--          claims the category; why: why it may not start a task, NULL if it may. Only the first 50 by place are checked; a
--          worker of each gate comes before the second worker of any gate.
CREATE OR REPLACE FUNCTION contentq.explain_fleet(category text)
RETURNS TABLE (worker contentq.workers, busy integer, suits boolean, why text, place bigint)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    WITH running AS (
        SELECT t.worker_id, count(*)::integer AS busy
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
        GROUP BY t.worker_id
    ),
    live AS (
        SELECT w AS worker, w.id, coalesce(w.gate, w.gates::text) AS gate, coalesce(r.busy, 0) AS busy,
               coalesce(w.categories IS NULL OR explain_fleet.category = ANY (w.categories), false) AS suits
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        LEFT JOIN running AS r ON r.worker_id = w.id
        WHERE w.heartbeat_at >= clock_timestamp() - s.heartbeat_timeout
          AND NOT w.draining
    ),
    in_order AS (
        SELECT g.*, row_number() OVER (ORDER BY g.suits DESC, g.of_gate, g.id) AS place
        FROM (
            SELECT l.*, row_number() OVER (PARTITION BY l.suits, l.gate, l.busy >= (l.worker).slots ORDER BY l.id) AS of_gate
            FROM live AS l
        ) AS g
    )
    SELECT o.worker, o.busy, o.suits,
           CASE
               WHEN o.suits AND o.place <= 50
               THEN (SELECT string_agg(r.why, '; ') FROM contentq.worker_wait(o.worker) AS r)
           END,
           o.place
    FROM in_order AS o
    ORDER BY o.place;
$$;

COMMENT ON FUNCTION contentq.explain_fleet(text) IS
    'Internal: the live workers, whether each claims a category, and why each may not start a task.';
