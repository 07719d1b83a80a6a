-- Keeps the lease of a batch for another minute.
-- Called by: handlers of batches, every 20 seconds while they tend one; and by each function that they tend it with.
-- Locks: the batch's row, until the end of the transaction: no one takes the lease meanwhile.
-- Returns: nothing.
-- Raises: CQ004 when the worker does not have the lease any more: whatever it is doing with the batch, it must leave off.
CREATE OR REPLACE FUNCTION contentq.hold_batch(worker_id bigint, batch_id bigint, tending integer)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
BEGIN
    IF contentq.is_own_worker(hold_batch.worker_id) THEN
        UPDATE contentq.provider_batches AS b
        SET tended_until = clock_timestamp() + interval '1 minute'
        WHERE b.id = hold_batch.batch_id
          AND b.tended_by = hold_batch.worker_id
          AND b.tending = hold_batch.tending
          AND b.ended_at IS NULL;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    RAISE EXCEPTION 'worker % does not tend batch % any more', hold_batch.worker_id, hold_batch.batch_id
        USING ERRCODE = 'CQ004',
              HINT = 'Another has taken it over, or it has ended. Leave it alone.';
END;
$$;

COMMENT ON FUNCTION contentq.hold_batch(bigint, bigint, integer) IS
    'Keeps the lease of a batch for another minute; raises CQ004 when the worker does not have it any more.';
