-- Ends tasks whose deadline has passed, waiting or running.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of their deadline, skipping those that others hold (so it never waits
--        and cannot take part in a deadlock). Returns: how many it ended.
-- A running task's worker is told by its next heartbeat. One that was cancelled ends failed here too.
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
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
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
    'Ends up to max_rows tasks whose timeout_at has passed: timeout, with the message Task execution timeout '
    'when they were running. Returns how many.';
