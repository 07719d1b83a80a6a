-- Computes how long an idle worker may sleep until there may be more to claim: until its limit may be lifted, or until a
-- scheduled task becomes ready. It is one second while ready tasks may not start, or not on this worker, and 5 milliseconds
-- while tasks are being committed of which no worker may have been notified.
-- Called by: workers, in the statement of a claim that returned too few tasks. Volatile, so that it sees that claim.
-- Locks: nothing. Returns: the time from now, never negative; NULL if no such time is known: then a notification on
--                          contentq_ready or a report of the worker comes first.
-- Tasks scheduled for infinity do not count; before PostgreSQL 17, no interval reaches infinity.
CREATE OR REPLACE FUNCTION contentq.next_claim_in(worker_id bigint)
RETURNS interval
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    wait record;
    due timestamptz;
BEGIN
    PERFORM contentq.is_own_worker(next_claim_in.worker_id);
    SELECT count(*) AS number, CASE WHEN bool_and(r.next_in IS NOT NULL) THEN max(r.next_in) END AS next_in
    INTO wait
    FROM contentq.workers AS w
    CROSS JOIN LATERAL contentq.worker_wait(w) AS r
    WHERE w.id = next_claim_in.worker_id;
    IF wait.number > 0 THEN
        -- greatest() ignores NULL.
        RETURN CASE WHEN wait.next_in IS NOT NULL THEN greatest(wait.next_in, interval '0') END;
    ELSIF current_setting('contentq.look_again', true) = 'yes' OR contentq.are_tasks_coming() THEN
        RETURN interval '5 milliseconds';
    END IF;

    due := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at < 'infinity'
        ORDER BY t.scheduled_at
        LIMIT 1
    );
    -- No notification arrives for ready tasks that could not be claimed, for example when an account has room again.
    IF (SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
        ORDER BY t.priority DESC, t.submitted_at, t.id
        LIMIT 1) IS NOT NULL
    THEN
        due := least(due, clock_timestamp() + interval '1 second');
    END IF;
    RETURN CASE WHEN due IS NOT NULL THEN greatest(due - clock_timestamp(), interval '0') END;
END;
$$;

COMMENT ON FUNCTION contentq.next_claim_in(bigint) IS
    'Time until there may be more for a worker to claim: until its gate allows it or a scheduled task becomes ready; one '
    'second while ready tasks may not start; NULL if no such time is known. Call it in the statement of the claim.';
