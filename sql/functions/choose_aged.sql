-- Chooses and locks ready tasks that have waited for longer than settings.aging, whatever their priority.
<<<<<<< HEAD
-- Called by: choose_ready(). The parameters are those of aged_tasks().
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, the longest waiting first.
=======
-- Called by: choose_ready(). categories, held, taken: as in choose_in_order(). submitted_before: those that count.
-- by_deadline: not those that cannot finish by their deadline.
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, the longest waiting first.
-- Of each priority (with categories: of each of these in it) it looks at some that have waited so long, and if few of
-- them may start, at the first 1000.
>>>>>>> fourteen
CREATE OR REPLACE FUNCTION contentq.choose_aged(
    max_tasks integer,
    submitted_before timestamptz,
    categories text[],
    held bigint[],
    taken bigint[],
    by_deadline boolean
)
RETURNS bigint[]
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
<<<<<<< HEAD
    SELECT contentq.lock_in_order(
        (SELECT array_agg(a.id ORDER BY a.submitted_at, a.id)
         FROM contentq.aged_tasks(
             choose_aged.submitted_before, choose_aged.categories, choose_aged.held, choose_aged.taken,
             choose_aged.by_deadline) AS a),
        choose_aged.max_tasks
    );
=======
#variable_conflict use_column
DECLARE
    chosen bigint[] := '{}';
    size integer := least(1000, greatest(50, 2 * choose_aged.max_tasks));
    seen record;
BEGIN
    WHILE cardinality(chosen) < choose_aged.max_tasks LOOP
        SELECT count(*) AS read,
               array_agg(w.id ORDER BY w.submitted_at, w.id) FILTER (
                   WHERE w.account_id <> ALL (choose_aged.held)
                     AND w.id <> ALL (choose_aged.taken || chosen)
                     AND NOT (choose_aged.by_deadline
                              AND coalesce(w.timeout_at <= clock_timestamp() + contentq.median_duration(w.category), false))
               ) AS free
        INTO seen
        FROM generate_series(1, 10) AS p (priority)
        CROSS JOIN LATERAL (
            (SELECT t.id::bigint AS id, t.account_id, t.category, t.timeout_at, t.submitted_at
             FROM public.content_generation_tasks AS t
             WHERE choose_aged.categories IS NULL
               AND t.status = 'pending'
               AND t.scheduled_at IS NULL
               AND t.priority = p.priority
               AND t.submitted_at < choose_aged.submitted_before
             ORDER BY t.priority DESC, t.submitted_at, t.id
             LIMIT size)
            UNION ALL
            SELECT s.*
            FROM unnest(choose_aged.categories) AS c (category)
            CROSS JOIN LATERAL (
                SELECT t.id::bigint AS id, t.account_id, t.category, t.timeout_at, t.submitted_at
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND (10 - t.priority) = 10 - p.priority
                  AND t.category = c.category
                  AND t.submitted_at < choose_aged.submitted_before
                ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
                LIMIT size
            ) AS s
        ) AS w;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_aged.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size OR size = 1000;
        size := 1000;
    END LOOP;
    RETURN chosen;
END;
>>>>>>> fourteen
$$;

COMMENT ON FUNCTION contentq.choose_aged(integer, timestamptz, text[], bigint[], bigint[], boolean) IS
    'Internal: chooses and locks ready tasks that have waited for longer than settings.aging.';
