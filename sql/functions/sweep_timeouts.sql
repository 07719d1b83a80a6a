-- Ends waiting and running tasks whose deadline has passed.
-- Called by: maintain(), cron, operators; several calls at once are safe.
-- Locks: up to max_rows tasks in deadline order; it skips tasks that other sessions have locked, so it never waits and
--        cannot deadlock. Returns: how many it ended.
-- The worker of a running task learns of it from its next heartbeat. A cancelled task ends failed.
CREATE OR REPLACE FUNCTION contentq.sweep_timeouts(max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    overdue bigint[];
BEGIN
    overdue := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status IN ('pending', 'processing')
          AND t.timeout_at IS NOT NULL
          AND t.timeout_at <= now_
        ORDER BY t.timeout_at
        LIMIT sweep_timeouts.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(overdue) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET status = CASE WHEN t.cancel_requested_at IS NULL THEN 'timeout' ELSE 'failed' END,
            error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                                 WHEN t.status = 'processing' THEN 'Task execution timeout'
                                 WHEN t.attempt > 0 AND t.error_message IS NOT NULL
                                 THEN contentq.shorten('Task timeout before the next attempt; the last one ended with: '
                                                       || t.error_message, 8000)
                                 ELSE 'Task timeout before execution' END,
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (overdue);
    END IF;
    RETURN cardinality(overdue);
END;
$$;

COMMENT ON FUNCTION contentq.sweep_timeouts(integer) IS
    'Ends up to max_rows tasks whose timeout_at has passed with status timeout (error message of running tasks: Task '
    'execution timeout). Returns how many.';
