-- Makes tasks ready whose batch answer has arrived.
-- Called by: answer_batch() and sweep_batches(). Locks: the tasks, in id order; it skips tasks that other sessions have
--            locked, which the next sweep finds.
-- Returns: how many became ready.
CREATE OR REPLACE FUNCTION contentq.wake_answered(ids bigint[])
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    woken bigint[];
BEGIN
    woken := ARRAY(
        SELECT t.id
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.id = ANY (wake_answered.ids)
          AND r.answered_at IS NOT NULL
          AND t.status = 'pending'
          AND t.scheduled_at > clock_timestamp()
          AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt)
        ORDER BY t.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    );
    IF cardinality(woken) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET scheduled_at = NULL,
            ready_at = clock_timestamp(),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (woken);
    END IF;
    RETURN cardinality(woken);
END;
$$;

COMMENT ON FUNCTION contentq.wake_answered(bigint[]) IS
    'Internal: makes those of these tasks ready whose batch answer has arrived; returns how many.';
