-- Lists the sizes of requests of a batch, with which handlers check the tokens that a provider reports.
-- Called by: handlers of batches, for the answers that they are about to store. Locks: the row of the batch.
-- Returns: the bytes of each of these requests in the batch, including requests for which no task waits any more.
-- Raises: CQ004, as hold_batch().
CREATE OR REPLACE FUNCTION contentq.batch_sizes(
    worker_id bigint,
    batch_id bigint,
    tending integer,
    ids bigint[],
    attempts integer[]
)
RETURNS TABLE (id bigint, attempt integer, bytes integer)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM contentq.hold_batch(batch_sizes.worker_id, batch_sizes.batch_id, batch_sizes.tending);
    RETURN QUERY
    SELECT r.id, r.attempt, octet_length(r.body)
    FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (SELECT a.id, a.attempt FROM unnest(batch_sizes.ids, batch_sizes.attempts) AS a (id, attempt))
      AND r.batch_id = batch_sizes.batch_id;
END;
$$;

COMMENT ON FUNCTION contentq.batch_sizes(bigint, bigint, integer, bigint[], integer[]) IS
    'The bytes of these requests of a batch that the worker leases, including those for which no task waits any more.';
