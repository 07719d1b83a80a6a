-- Groups the errors of tasks by kind.
-- Called by: the view error_groups, people. since: only tasks that failed then or later; NULL for all. newest: only
--            this many tasks with an error, those with the highest ids; NULL for all.
-- Locks: nothing. Returns: a row for each kind, most tasks first. It counts tasks that are failed or timeout, and tasks
--          that wait for a retry. error: the result of error_group(). first_at, last_at: when the first and the last of
--          these tasks failed.
--          example: the newest of them.
CREATE OR REPLACE FUNCTION contentq.group_errors(since timestamptz DEFAULT NULL, newest bigint DEFAULT NULL)
RETURNS TABLE (
    error text,
    tasks bigint,
    failed bigint,
    timeout bigint,
    retrying bigint,
    accounts bigint,
    first_at timestamptz,
    last_at timestamptz,
    example text,
    example_message text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH failures AS (
        SELECT e.*, translate(left(e.error_message, 500), '123456789', '000000000') AS message
        FROM (
            (SELECT t.id, t.status, t.account_id, t.updated_at, t.error_message
             FROM public.content_generation_tasks AS t
             WHERE t.status IN ('failed', 'timeout')
             ORDER BY t.id DESC
             LIMIT group_errors.newest)
            UNION ALL
            (SELECT t.id, t.status, t.account_id, t.updated_at, t.error_message
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.retry_count > 0
             ORDER BY t.id DESC
             LIMIT group_errors.newest)
            ORDER BY 1 DESC
            LIMIT group_errors.newest
        ) AS e
        WHERE (group_errors.since IS NULL OR e.updated_at >= group_errors.since)
          AND (e.status <> 'pending' OR e.error_message IS NOT NULL)
    ),
    -- Many messages differ only in digits, which error_group() ignores. Grouping them first is faster: error_group() is
    -- slow.
    messages AS (
        SELECT f.message,
               f.account_id,
               count(*) FILTER (WHERE f.status = 'failed') AS failed,
               count(*) FILTER (WHERE f.status = 'timeout') AS timeout,
               count(*) FILTER (WHERE f.status = 'pending') AS retrying,
               min(f.updated_at) AS first_at,
               max(f.updated_at) AS last_at,
               max(f.id) AS last_id
        FROM failures AS f
        GROUP BY f.message, f.account_id
    ),
    kinds AS (
        SELECT contentq.error_group(m.message) AS error,
               sum(m.failed)::bigint AS failed,
               sum(m.timeout)::bigint AS timeout,
               sum(m.retrying)::bigint AS retrying,
               count(DISTINCT m.account_id) AS accounts,
               min(m.first_at) AS first_at,
               max(m.last_at) AS last_at,
               max(m.last_id) AS last_id
        FROM messages AS m
        GROUP BY contentq.error_group(m.message)
    )
    SELECT k.error, k.failed + k.timeout + k.retrying, k.failed, k.timeout, k.retrying, k.accounts,
           date_trunc('second', k.first_at), date_trunc('second', k.last_at),
           t.task_id::text, contentq.shorten(t.error_message, 1000)
    FROM kinds AS k
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[k.last_id])
    ORDER BY 2 DESC, k.last_at DESC, k.error;
END;
$$;

COMMENT ON FUNCTION contentq.group_errors(timestamptz, bigint) IS
    'The errors of tasks that failed, timed out or wait for a retry (since a time; of the newest tasks), by kind: messages '
    'are equal without numbers, ids and quoted text.';
