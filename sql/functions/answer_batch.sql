-- Stores answers to requests of a batch and makes their tasks ready.
-- Called by: handlers of batches, for a few lines of the provider's output at a time. Locks: the row of the batch, the
--            requests, and the tasks as wake_answered().
-- Existing answers stay. usages: JSON objects as text, of up to 8,192 bytes, with the cost of each answer; add_usage()
-- limits the amounts. If no task waits for an answer any more, no attempt will report its cost, so sweep_batches() adds it to
-- the usage of the account.
-- Returns: how many answers were new.
-- Raises: CQ004, as hold_batch(); 22003, 22P02, 22P05 or 54001 if a usage is not JSON that jsonb can hold; 22023 if it is
--         not an object, or is larger.
CREATE OR REPLACE FUNCTION contentq.answer_batch(
    worker_id bigint,
    batch_id bigint,
    tending integer,
    ids bigint[],
    attempts integer[],
    status_codes integer[],
    answers text[],
    usages text[] DEFAULT NULL
)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    answered bigint[];
BEGIN
    PERFORM contentq.hold_batch(answer_batch.worker_id, answer_batch.batch_id, answer_batch.tending);
    -- Fails here for text that jsonb cannot store, which would otherwise fail each sweep.
    IF EXISTS (
        SELECT
        FROM unnest(answer_batch.usages) AS u (usage)
        WHERE octet_length(u.usage) > 8192
           OR jsonb_typeof(u.usage::jsonb) <> 'object'
    ) THEN
        RAISE EXCEPTION 'a usage must be a JSON object of at most 8192 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH new AS (
        UPDATE contentq.batch_requests AS r
        SET answered_at = clock_timestamp(),
            status_code = a.status_code,
            answer = a.answer,
            usage = a.usage
        FROM unnest(answer_batch.ids, answer_batch.attempts, answer_batch.status_codes, answer_batch.answers,
                    answer_batch.usages) AS a (id, attempt, status_code, answer, usage)
        WHERE r.id = a.id
          AND r.attempt = a.attempt
          AND r.batch_id = answer_batch.batch_id
          AND r.answered_at IS NULL
        RETURNING r.id
    )
    SELECT array_agg(n.id)
    INTO answered
    FROM new AS n;
    PERFORM contentq.wake_answered(answered);
    RETURN coalesce(cardinality(answered), 0);
END;
$$;

COMMENT ON FUNCTION contentq.answer_batch(bigint, bigint, integer, bigint[], integer[], integer[], text[], text[]) IS
    'Stores answers to requests of a batch that the worker leases, and makes their tasks ready; returns how many were new.';
