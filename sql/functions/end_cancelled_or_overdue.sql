-- Ends those of these tasks that were cancelled while running (failed) or are past their deadline (timeout). Later reports
-- of their handlers do not count.
-- Called by: complete(), store(), fail(), revise(), snooze(), release() and release_unknown(), for tasks of the reporting
--            worker.
-- All reports find tasks by t.id = ANY (ARRAY[r.id]). With t.id = r.id the planner might read the whole primary key and
-- compare every task with every report; it does so if statistics show an empty table, as after ANALYZE of many uncommitted
-- rows. The other form allows only lookups.
-- Locks: all of these tasks that the worker holds, ended or not, in id order. Returns: the ids of the tasks that it ended.
CREATE OR REPLACE FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids bigint[], attempts integer[])
RETURNS SETOF bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
AS $$
#variable_conflict use_column
BEGIN
    -- A separate statement takes the locks first: it waits for a cancel that is about to commit, so that the following
    -- statements see it.
    PERFORM t.id
    FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
    WHERE contentq.is_held(t.status, t.worker_id, end_cancelled_or_overdue.worker_id)
    ORDER BY r.id
    FOR NO KEY UPDATE OF t;

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'failed' ELSE 'timeout' END,
        error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                             ELSE 'Task execution timeout' END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id])
      AND t.attempt = r.attempt
      AND contentq.is_held(t.status, t.worker_id, end_cancelled_or_overdue.worker_id)
      AND (t.cancel_requested_at IS NOT NULL OR t.timeout_at <= clock_timestamp())
    RETURNING t.id::bigint;
END;
$$;

COMMENT ON FUNCTION contentq.end_cancelled_or_overdue(bigint, bigint[], integer[]) IS
    'Internal: ends those of a worker''s tasks that were cancelled or are past their deadline; returns their ids.';
