-- Lists the requests of a batch for which tasks still wait, up to max_bytes in total, at least one.
-- Called by: handlers of batches, repeatedly with the last id and attempt that they got. Locks: the row of the batch.
-- Returns: the requests, by id and attempt. Raises: CQ004, as hold_batch().
CREATE OR REPLACE FUNCTION contentq.batch_lines(
    worker_id bigint,
    batch_id bigint,
    tending integer,
    after_id bigint DEFAULT 0,
    after_attempt integer DEFAULT 0,
    max_bytes bigint DEFAULT 4000000
)
RETURNS TABLE (id bigint, attempt integer, body text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    total bigint := 0;
BEGIN
    PERFORM contentq.hold_batch(batch_lines.worker_id, batch_lines.batch_id, batch_lines.tending);
    FOR id, attempt, body IN
        SELECT r.id, r.attempt, r.body
        FROM contentq.batch_requests AS r
        WHERE r.batch_id = batch_lines.batch_id
          AND (r.id, r.attempt) > (batch_lines.after_id, batch_lines.after_attempt)
          AND r.answered_at IS NULL
          AND EXISTS (SELECT
                      FROM public.content_generation_tasks AS t
                      WHERE t.id = r.id
                        AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt))
        ORDER BY r.id, r.attempt
    LOOP
        total := total + octet_length(body);
        RETURN NEXT;
        EXIT WHEN total >= batch_lines.max_bytes;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.batch_lines(bigint, bigint, integer, bigint, integer, bigint) IS
    'The requests, after a given one, for which tasks still wait, of a batch that the worker leases.';
