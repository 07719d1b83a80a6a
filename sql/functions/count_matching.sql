-- Counts the tasks that match selectors, by status.
-- Called by: people and programs, before they change tasks.
-- operation: requeue, cancel or delete, to count only tasks that it would change. Selectors: as in matching_tasks().
-- Locks: nothing. Returns: a row for each status that occurs. Raises: 22023 as selected_statuses() does.
CREATE OR REPLACE FUNCTION contentq.count_matching(
    status text DEFAULT NULL,
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    error text DEFAULT NULL,
    worker_id bigint DEFAULT NULL,
    operation text DEFAULT NULL
)
RETURNS TABLE (task_status text, tasks bigint)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT t.status::text, count(*)
    FROM contentq.select_tasks(
        contentq.selected_statuses(count_matching.operation, count_matching.status), count_matching.account_id,
        count_matching.category, count_matching.batch, count_matching.since, count_matching.until, count_matching.error,
        count_matching.worker_id, coalesce(count_matching.operation = 'requeue', false)) AS s (id)
    JOIN public.content_generation_tasks AS t ON t.id = s.id
    GROUP BY t.status
    ORDER BY array_position('{pending,processing,completed,failed,timeout}', t.status::text);
END;
$$;

COMMENT ON FUNCTION contentq.count_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, text
) IS
    'How many tasks match all given selectors, by status; with an operation (requeue, cancel, delete), how many it would '
    'change.';
