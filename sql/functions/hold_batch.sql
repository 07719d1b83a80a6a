-- Renews the lease of a batch for a minute.
-- Called by: handlers of batches, every 20 seconds while they work on one, and by each function that they call for it.
-- Locks: the row of the batch, until the end of the transaction, so that no other worker takes the lease meanwhile.
-- Returns: nothing.
-- Raises: CQ004 if the worker no longer has the lease: it must stop working on the batch. Nobody has the lease of a batch
--         that another login opened.
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
          AND b.login = session_user
          AND b.ended_at IS NULL;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    RAISE EXCEPTION 'worker % no longer has the lease of batch %', hold_batch.worker_id, hold_batch.batch_id
        USING ERRCODE = 'CQ004',
              HINT = 'Another worker has taken it over, or the batch has ended. Stop working on it.';
END;
$$;

COMMENT ON FUNCTION contentq.hold_batch(bigint, bigint, integer) IS
    'Renews the lease of a batch for a minute; raises CQ004 if the worker no longer has it.';
