-- Counts the tasks that workers with some of these gates have claimed and that are about to enter a gate.
-- Called by: gates_state(). Locks: nothing. Returns: the number.
-- Handlers enter their gate first. A task that has not entered within a second does not use a gate or waits elsewhere.
CREATE OR REPLACE FUNCTION contentq.at_the_door(gates text[])
RETURNS integer
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT count(*)::integer
    FROM contentq.workers AS w
    CROSS JOIN LATERAL (
        -- A range and an order that only the index on worker_id has; = would allow any index.
        SELECT t.gate, t.started_at
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN w.id AND w.id
          AND t.status = 'processing'
        ORDER BY t.worker_id
        OFFSET 0
    ) AS r
    WHERE w.gates && at_the_door.gates
      AND r.gate IS NULL
      AND r.started_at > clock_timestamp() - interval '1 second';
$$;

COMMENT ON FUNCTION contentq.at_the_door(text[]) IS
    'Internal: how many tasks were just claimed and are about to enter one of these gates.';
