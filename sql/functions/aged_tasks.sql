-- Lists ready tasks that have waited for longer than settings.aging, whatever their priority.
-- Called by: choose_aged(), explain_aging().
-- categories, held, taken, by_deadline: as in choose_in_order(). submitted_before: those that count.
-- Locks: nothing. Returns: of each priority those that may start among the first 1000 that have waited so long.
CREATE OR REPLACE FUNCTION contentq.aged_tasks(
    submitted_before timestamptz,
    categories text[],
    held bigint[],
    taken bigint[],
    by_deadline boolean
)
RETURNS TABLE (id bigint, account_id bigint, submitted_at timestamptz)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    SELECT w.id, w.account_id, w.submitted_at
    FROM generate_series(1, 10) AS p (priority)
    CROSS JOIN LATERAL (
        SELECT t.id::bigint AS id, t.account_id::bigint AS account_id, t.category, t.timeout_at, t.submitted_at, t.attempt
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND t.priority = p.priority
          AND t.submitted_at < aged_tasks.submitted_before
        ORDER BY t.priority DESC, t.submitted_at, t.id
        LIMIT 1000
    ) AS w
    WHERE w.account_id <> ALL (aged_tasks.held)
      AND w.id <> ALL (aged_tasks.taken)
      AND w.attempt < 2147483647
      AND (aged_tasks.categories IS NULL OR w.category = ANY (aged_tasks.categories))
      AND CASE WHEN w.timeout_at IS NULL THEN true
               WHEN aged_tasks.by_deadline THEN w.timeout_at > clock_timestamp() + contentq.median_duration(w.category)
               ELSE w.timeout_at > clock_timestamp() END;
$$;

COMMENT ON FUNCTION contentq.aged_tasks(timestamptz, text[], bigint[], bigint[], boolean) IS
    'Internal: ready tasks that have waited for longer than settings.aging.';
