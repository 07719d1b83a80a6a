-- Ends the tasks among these that were cancelled while running (failed) or are past their deadline
-- (timeout). Whatever their handler reports no longer counts.
-- Called by: complete(), store(), fail(), snooze() and release(), for tasks of the worker that reports.
-- Here and in the other reports, tasks are found by t.id = ANY (ARRAY[r.id]). By t.id = r.id the planner might as well walk
-- over the whole primary key and compare every task with every report: it does when statistics say that the table is
-- empty, as they do after a mass of rows was analyzed before its commit. The other form can only be looked up.
-- Locks: all of these tasks that the worker holds, ended or not, in id order. Returns: the ids that it ended.
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
    -- The lock comes first, in a statement of its own: a cancel that is about to commit is waited for here, and
    -- the statements after this one see it.
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
    'Internal: ends those of a worker''s tasks that were cancelled or whose deadline has passed; returns their ids.';
