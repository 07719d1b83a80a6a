-- Says how long until there may be something more for a worker to claim, so that an idle one sleeps exactly that long: until
-- what keeps it from beginning a task may be over; until a scheduled task becomes ready; a second while tasks are ready that
-- may not start, or not by this worker; and 5 milliseconds when tasks are being committed that no one may have been
-- notified of.
-- Called by: workers, in the same statement as a claim that has found too few.
-- It is volatile, so that it sees what the claim has done.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time: then a notification on
--                          contentq_ready comes first, or a worker's own report.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
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
        -- greatest() leaves out NULL.
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
    -- Of what is ready and was not to be had, nobody may notify: that an account goes on, or has room again.
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
    'Time until there may be more for a worker to claim: until its gate lets it or a scheduled task becomes ready, a second '
    'while ready tasks may not start; NULL when no such time is known. To be called in the statement of the claim.';
