-- Returns unfinished tasks to pending at once, without charging a retry.
-- Called by: workers, at a graceful stop.
-- Locks: the tasks, in id order. Returns: the ids of the tasks that are pending again.
-- It ignores attempts that the worker no longer holds. A task that was cancelled meanwhile ends failed, a task past its
-- deadline ends timeout.
CREATE OR REPLACE FUNCTION contentq.release(worker_id bigint, ids bigint[], attempts integer[])
RETURNS SETOF bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(release.worker_id) THEN
        RETURN;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(release.worker_id, release.ids, release.attempts);
    -- A batch answer that this attempt took must be available to the next attempt.
    UPDATE contentq.batch_requests AS r
    SET is_taken = false
    FROM public.content_generation_tasks AS t
    WHERE r.id = ANY (release.ids)
      AND r.answered_at IS NOT NULL
      AND r.is_taken
      AND t.id = ANY (ARRAY[r.id])
      AND contentq.is_held(t.status, t.worker_id, release.worker_id);

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(release.ids, release.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id])
      AND t.attempt = r.attempt
      AND contentq.is_held(t.status, t.worker_id, release.worker_id)
    RETURNING t.id::bigint;
END;
$$;

COMMENT ON FUNCTION contentq.release(bigint, bigint[], integer[]) IS
    'Releases tasks that this worker holds: they are pending again, and no retry is charged. Returns their ids.';
