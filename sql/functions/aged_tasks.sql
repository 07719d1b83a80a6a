-- Lists the first ready tasks of each priority that have waited longer than settings.aging.
-- Called by: choose_aged(), explain_aging().
-- submitted_before: only tasks submitted before this time. by_deadline: tasks that cannot finish by their deadline may not
-- start. number: how many tasks of each priority; with categories, of each category in each priority. categories, blocked,
-- blocked_keys: as in choose_in_order().
-- Locks: nothing. Returns: the tasks, in no order, and whether each may start.
CREATE OR REPLACE FUNCTION contentq.aged_tasks(
    submitted_before timestamptz,
    categories text[],
    blocked bigint[],
    by_deadline boolean,
    number integer,
    blocked_keys text[] DEFAULT '{}'
)
RETURNS TABLE (id bigint, account_id bigint, category text, submitted_at timestamptz, may_start boolean)
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
BEGIN
    RETURN QUERY
    SELECT w.id, w.account_id, w.category::text, w.submitted_at,
           w.account_id <> ALL (aged_tasks.blocked)
           AND (cardinality(aged_tasks.blocked_keys) = 0
                OR contentq.budget_key(w.account_id, w.category) <> ALL (aged_tasks.blocked_keys))
           AND contentq.is_ready('pending', NULL, w.timeout_at, w.attempt)
           AND NOT (aged_tasks.by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
    FROM generate_series(1, 10) AS p (priority)
    CROSS JOIN LATERAL (
        (SELECT t.id::bigint AS id, t.account_id::bigint AS account_id, t.category, t.timeout_at, t.submitted_at, t.attempt
         FROM public.content_generation_tasks AS t
         WHERE aged_tasks.categories IS NULL
           AND t.status = 'pending'
           AND t.scheduled_at IS NULL
           AND t.priority = p.priority
           AND t.submitted_at < aged_tasks.submitted_before
         ORDER BY t.priority DESC, t.submitted_at, t.id
         LIMIT aged_tasks.number)
        UNION ALL
        (SELECT t.id::bigint, t.account_id::bigint, t.category, t.timeout_at, t.submitted_at, t.attempt
         FROM public.content_generation_tasks AS t
         WHERE array_position(aged_tasks.categories, NULL) IS NOT NULL
           AND t.status = 'pending'
           AND t.scheduled_at IS NULL
           AND (10 - t.priority) = 10 - p.priority
           AND t.category IS NULL
           AND t.submitted_at < aged_tasks.submitted_before
         ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
         LIMIT aged_tasks.number)
        UNION ALL
        SELECT s.*
        FROM unnest(aged_tasks.categories) AS c (category)
        CROSS JOIN LATERAL (
            SELECT t.id::bigint AS id, t.account_id::bigint AS account_id, t.category, t.timeout_at, t.submitted_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND t.category = c.category
              AND t.submitted_at < aged_tasks.submitted_before
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT aged_tasks.number
        ) AS s
    ) AS w;
END;
$$;

COMMENT ON FUNCTION contentq.aged_tasks(timestamptz, text[], bigint[], boolean, integer, text[]) IS
    'Internal: the first ready tasks of each priority that have waited longer than settings.aging.';
