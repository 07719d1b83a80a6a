-- Lists the tasks that match selectors, in id order.
-- Called by: people and programs.
-- status, account_id, category, batch: the values of the task. since, until: submitted at or after since, and before until.
-- error:
-- a part of its error message, ignoring case, or its error_group(). worker_id: the worker that runs it; for failed and
-- timed-out tasks, the worker whose attempt failed last. Without a selector, all tasks match.
-- Locks: nothing. Returns: up to max_tasks ids above after_id; NULL for all. Raises: 22023 for a status that does not
--        exist.
CREATE OR REPLACE FUNCTION contentq.matching_tasks(
    status text DEFAULT NULL,
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    error text DEFAULT NULL,
    worker_id bigint DEFAULT NULL,
    after_id bigint DEFAULT NULL,
    max_tasks integer DEFAULT 1000
)
RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.id
    FROM contentq.select_tasks(
        contentq.selected_statuses(NULL, matching_tasks.status), matching_tasks.account_id, matching_tasks.category,
        matching_tasks.batch, matching_tasks.since, matching_tasks.until, matching_tasks.error, matching_tasks.worker_id,
        beyond_id => matching_tasks.after_id, max_tasks => matching_tasks.max_tasks) AS s (id);
END;
$$;

COMMENT ON FUNCTION contentq.matching_tasks(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, bigint, integer
) IS
    'The ids of up to max_tasks tasks above after_id that match all given selectors: status, account_id, category, batch, '
    'submitted since and until, error (a part of the message, or its error_group()), worker_id.';
