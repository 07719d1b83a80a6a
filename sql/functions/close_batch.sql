-- Ends a batch; its unanswered requests go into another batch.
-- Called by: handlers of batches, when all answers are stored, or when the provider never created the batch.
-- Locks: the row of the batch and its requests. The tasks keep waiting and are not touched.
-- retry_in: the delay of unanswered requests, a day at most. Requests for which no task waits any more are deleted.
-- Returns: how many requests will be sent again. Raises: CQ004, as hold_batch().
CREATE OR REPLACE FUNCTION contentq.close_batch(
    worker_id bigint,
    batch_id bigint,
    tending integer,
    status text,
    error text DEFAULT NULL,
    retry_in interval DEFAULT '0'
)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    again integer;
BEGIN
    PERFORM contentq.hold_batch(close_batch.worker_id, close_batch.batch_id, close_batch.tending);
    DELETE FROM contentq.batch_requests AS r
    WHERE r.batch_id = close_batch.batch_id
      AND r.answered_at IS NULL
      AND NOT EXISTS (SELECT
                      FROM public.content_generation_tasks AS t
                      WHERE t.id = r.id
                        AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt));
    UPDATE contentq.batch_requests AS r
    SET batch_id = NULL,
        due_at = clock_timestamp() + least(greatest(close_batch.retry_in, '0'), '1 day')
    WHERE r.batch_id = close_batch.batch_id
      AND r.answered_at IS NULL;
    GET DIAGNOSTICS again = ROW_COUNT;
    UPDATE contentq.provider_batches AS b
    SET status = contentq.shorten(close_batch.status, 50),
        error = contentq.shorten(close_batch.error, 2000),
        ended_at = clock_timestamp(),
        tended_by = NULL
    WHERE b.id = close_batch.batch_id;
    RETURN again;
END;
$$;

COMMENT ON FUNCTION contentq.close_batch(bigint, bigint, integer, text, text, interval) IS
    'Ends a batch that the worker leases; its unanswered requests go into another batch. Returns how many these are.';
