-- Cancels tasks: waiting tasks end at once; running tasks are stopped and can only end failed.
-- Called by: cancel(), cancel_matching(). Locks: the rows of the tasks.
-- Returns: the new status of each task that had not ended: failed, or processing while its worker stops it.
CREATE OR REPLACE FUNCTION contentq.cancel_tasks(ids bigint[])
RETURNS SETOF text
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'failed' ELSE t.status END,
        error_message = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'Task cancelled'
                             ELSE t.error_message END,
        cancel_requested_at = coalesce(t.cancel_requested_at, clock_timestamp()),
        scheduled_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = ANY (cancel_tasks.ids)
      -- IS TRUE: no plan uses status_idx, as a plan made while the table was empty would.
      AND (t.status IN ('pending', 'processing')) IS TRUE
    RETURNING t.status;
$$;

COMMENT ON FUNCTION contentq.cancel_tasks(bigint[]) IS
    'Internal: cancels tasks that have not ended; returns the new status of each.';
