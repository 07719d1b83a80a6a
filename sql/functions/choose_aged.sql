-- Chooses and locks ready tasks that have waited for longer than settings.aging, whatever their priority.
-- Called by: choose_ready(). categories, held: as in choose_in_order(). submitted_before: those that count.
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, the longest waiting first. Of each priority it looks at the first 1000 that have waited so long.
CREATE OR REPLACE FUNCTION contentq.choose_aged(
    max_tasks integer,
    submitted_before timestamptz,
    categories text[],
    held bigint[]
)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    aged bigint[];
BEGIN
    SELECT array_agg(w.id ORDER BY w.submitted_at, w.id)
    INTO aged
    FROM generate_series(1, 10) AS p (priority)
    CROSS JOIN LATERAL (
        SELECT t.id::bigint AS id, t.account_id, t.category, t.submitted_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND t.priority = p.priority
          AND t.submitted_at < choose_aged.submitted_before
        ORDER BY t.priority DESC, t.submitted_at, t.id
        LIMIT 1000
    ) AS w
    WHERE w.account_id <> ALL (choose_aged.held)
      AND (choose_aged.categories IS NULL OR w.category = ANY (choose_aged.categories));
    RETURN contentq.lock_in_order(aged, choose_aged.max_tasks);
END;
$$;

COMMENT ON FUNCTION contentq.choose_aged(integer, timestamptz, text[], bigint[]) IS
    'Internal: chooses and locks ready tasks that have waited for longer than settings.aging.';
