-- Records the state of a batch; NULL leaves a value unchanged.
-- Called by: handlers of batches. Locks: the row of the batch.
-- input_file: recorded before the provider creates the batch. provider_id: its id at the provider; from then on the
-- requests count as sent, and their tasks store the id, if their handler_state has room for it. due_in: returns the lease
-- until the batch is due again, in a day at most. error: the latest error; failures counts errors in a row and is 0 without
-- an error.
-- Returns: nothing. Raises: CQ004, as hold_batch(); 22023 for a provider_id of more than 500 characters, which handlers
--         report as an error of the provider.
CREATE OR REPLACE FUNCTION contentq.note_batch(
    worker_id bigint,
    batch_id bigint,
    tending integer,
    input_file text DEFAULT NULL,
    provider_id text DEFAULT NULL,
    status text DEFAULT NULL,
    completed integer DEFAULT NULL,
    failed integer DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL,
    error text DEFAULT NULL,
    due_in interval DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    is_sent boolean;
BEGIN
    IF length(note_batch.provider_id) > 500 THEN
        RAISE EXCEPTION 'the id of a batch has % characters; at most 500 are stored', length(note_batch.provider_id)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM contentq.hold_batch(note_batch.worker_id, note_batch.batch_id, note_batch.tending);
    is_sent := note_batch.provider_id IS NOT NULL AND EXISTS (
        SELECT FROM contentq.provider_batches AS b WHERE b.id = note_batch.batch_id AND b.provider_id IS NULL
    );
    UPDATE contentq.provider_batches AS b
    SET input_file = coalesce(contentq.shorten(note_batch.input_file, 500), b.input_file),
        provider_id = coalesce(note_batch.provider_id, b.provider_id),
        sent_at = CASE WHEN is_sent THEN now_ ELSE b.sent_at END,
        status = coalesce(contentq.shorten(note_batch.status, 50), b.status),
        completed = coalesce(note_batch.completed, b.completed),
        failed = coalesce(note_batch.failed, b.failed),
        expires_at = coalesce(note_batch.expires_at, b.expires_at),
        error = contentq.shorten(note_batch.error, 2000),
        failures = CASE WHEN note_batch.error IS NULL THEN 0 ELSE b.failures + 1 END,
        due_at = CASE
            WHEN note_batch.due_in IS NULL THEN b.due_at
            ELSE now_ + least(greatest(note_batch.due_in, '0'), '1 day')
        END,
        tended_by = CASE WHEN note_batch.due_in IS NULL THEN b.tended_by END
    WHERE b.id = note_batch.batch_id;
    IF is_sent THEN
        UPDATE contentq.batch_requests AS r
        SET sendings = r.sendings + 1
        WHERE r.batch_id = note_batch.batch_id;
        UPDATE public.content_generation_tasks AS t
        SET handler_state = t.handler_state || jsonb_build_object('batch', note_batch.provider_id),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id IN (
            SELECT w.id
            FROM contentq.batch_requests AS r
            JOIN public.content_generation_tasks AS w ON w.id = r.id
            WHERE r.batch_id = note_batch.batch_id
              AND contentq.is_batch_wanted(w.status, w.handler_state, r.attempt)
              -- A task may have been given more state since; the batch must not fail because of it.
              AND octet_length((w.handler_state || jsonb_build_object('batch', note_batch.provider_id))::text) <= 8192
            ORDER BY w.id
            FOR NO KEY UPDATE OF w SKIP LOCKED
        );
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.note_batch(
    bigint, bigint, integer, text, text, text, integer, integer, timestamptz, text, interval
) IS
    'Records the state of a batch that the worker leases; due_in returns the lease for that time, a day at '
    'most.';
