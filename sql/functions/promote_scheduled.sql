-- Makes tasks ready whose scheduled time has passed by setting scheduled_at to NULL. So claims read one index in one order,
-- and a million tasks scheduled for tomorrow cost them nothing.
-- Called by: choose_ready() before it searches, and maintain().
-- Locks: the due tasks, in order of their time (at the same time, the most urgent first); it skips tasks that other
--        sessions have locked, so it never waits.
-- Returns: how many became ready.
CREATE OR REPLACE FUNCTION contentq.promote_scheduled(max_rows integer DEFAULT 1000)
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
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    due bigint[];
BEGIN
    due := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        LIMIT promote_scheduled.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(due) > 0 THEN
        UPDATE public.content_generation_tasks
        SET scheduled_at = NULL,
            -- greatest() also covers -infinity: a task does not wait before its submission.
            ready_at = greatest(scheduled_at, submitted_at),
            updated_at = CURRENT_TIMESTAMP
        WHERE id = ANY (due);
    END IF;
    RETURN cardinality(due);
END;
$$;

COMMENT ON FUNCTION contentq.promote_scheduled(integer) IS
    'Makes up to max_rows tasks ready whose scheduled_at has passed; returns how many.';
