-- Lists the categories that a claim searches while budgets block some.
-- Called by: choose_ready(), explain_waiting(). categories: those that the worker claims; NULL for all. blocked: blocked
-- categories, '' for tasks without a category.
-- Locks: nothing. Returns: the categories, NULL for all; a NULL element stands for tasks without a category.
-- Each category is a separate range of an index, so blocked tasks are not read. For a worker that claims all categories, it
-- looks up the categories of ready tasks, with one index lookup for each priority and category. Of more than 1000, it
-- returns a random 1000.
CREATE OR REPLACE FUNCTION contentq.open_categories(categories text[], blocked text[])
RETURNS text[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(blocked) = 0 THEN
        RETURN categories;
    ELSIF categories IS NOT NULL THEN
        RETURN ARRAY(SELECT c.category FROM unnest(categories) AS c (category) WHERE left(c.category, 200) <> ALL (blocked));
    END IF;
    RETURN ARRAY(
        WITH RECURSIVE ready AS (
            (SELECT p.priority, f.category
             FROM generate_series(1, 10) AS p (priority)
             CROSS JOIN LATERAL (
                 SELECT t.category
                 FROM public.content_generation_tasks AS t
                 WHERE t.status = 'pending'
                   AND t.scheduled_at IS NULL
                   AND t.category IS NOT NULL
                   AND (10 - t.priority) = 10 - p.priority
                 ORDER BY (10 - t.priority), t.category
                 LIMIT 1
             ) AS f)
            UNION ALL
            SELECT r.priority, n.category
            FROM ready AS r
            CROSS JOIN LATERAL (
                SELECT t.category
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.category IS NOT NULL
                  AND (10 - t.priority) = 10 - r.priority
                  AND t.category > r.category
                ORDER BY (10 - t.priority), t.category
                LIMIT 1
            ) AS n
        )
        SELECT c.category
        FROM (
            SELECT DISTINCT r.category::text AS category
            FROM ready AS r
            WHERE left(r.category, 200) <> ALL (blocked)
        ) AS c
        ORDER BY random()
        LIMIT 1000
    ) || CASE WHEN '' = ANY (blocked) THEN '{}' ELSE ARRAY[NULL::text] END;
END;
$$;

COMMENT ON FUNCTION contentq.open_categories(text[], text[]) IS
    'Internal: the categories that a claim searches while budgets block some.';
