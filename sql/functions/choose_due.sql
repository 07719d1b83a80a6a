-- Chooses and locks scheduled tasks that became due at the same instant, without making them ready first. Their index
-- already has them in claim order.
-- Called by: choose_ready(), in strict order, if no account is limited. due_at: the earliest time among due tasks.
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, in order; an empty array if tasks became due at more than one time.
CREATE OR REPLACE FUNCTION contentq.choose_due(max_tasks integer, due_at timestamptz)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    last_due_at constant timestamptz := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at DESC
        LIMIT 1
    );
    due bigint[];
BEGIN
    IF last_due_at <> choose_due.due_at THEN
        RETURN '{}'::bigint[];
    END IF;
    due := ARRAY(
        SELECT t.id::bigint
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= choose_due.due_at
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
          AND t.attempt < 2147483647
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        LIMIT choose_due.max_tasks
        FOR UPDATE SKIP LOCKED
    );
    -- Notify other workers only if due tasks remain.
    IF cardinality(due) >= choose_due.max_tasks AND (
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= choose_due.due_at
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        OFFSET choose_due.max_tasks
        LIMIT 1
    ) IS NOT NULL
    THEN
        PERFORM contentq.notify_ready();
    END IF;
    RETURN due;
END;
$$;

COMMENT ON FUNCTION contentq.choose_due(integer, timestamptz) IS
    'Internal: chooses and locks scheduled tasks that became due at the same instant, in claim order; returns their ids.';
