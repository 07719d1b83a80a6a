-- Releases attempts that a live worker does not know of: the reply to its claim was lost or too large, or it could not
-- report the outcome.
-- Called by: heartbeat(), with at most 1000 of them.
-- Locks: the tasks in id order; it skips tasks that other sessions have locked, so it never waits.
-- Returns: nothing.
-- The first time, no retry is charged, and attempt_errors records it: connections can break. From the second time on, a
-- retry is charged and the backoff applies, so that a task whose claim no worker can receive ends failed at last. A task
-- that was cancelled ends failed, a task past its deadline ends timeout.
CREATE OR REPLACE FUNCTION contentq.release_unknown(worker_id bigint, ids bigint[], attempts integer[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    locked_ids bigint[];
    locked_attempts integer[];
    some_ended boolean;
    task record;
    charged integer := 0;
BEGIN
    SELECT array_agg(l.id), array_agg(l.attempt), bool_or(l.is_ended)
    INTO locked_ids, locked_attempts, some_ended
    FROM (
        SELECT t.id, t.attempt,
               t.cancel_requested_at IS NOT NULL OR coalesce(t.timeout_at <= clock_timestamp(), false) AS is_ended
        FROM unnest(release_unknown.ids, release_unknown.attempts) AS r (id, attempt)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, release_unknown.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    ) AS l;

    IF locked_ids IS NOT NULL THEN
        IF some_ended THEN
            PERFORM contentq.end_cancelled_or_overdue(release_unknown.worker_id, locked_ids, locked_attempts);
        END IF;
        FOR task IN
            SELECT t.id, t.attempt, t.retry_count, t.max_retries,
                   t.attempt_errors @? '$[*] ? (@.error_class == "ClaimUnheard")' AS is_charged
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (locked_ids)
              AND contentq.is_held(t.status, t.worker_id, release_unknown.worker_id)
        LOOP
            PERFORM contentq.record_failure(
                task.id,
                format('Worker %s claimed attempt %s but does not know of it: the reply to the claim was lost or too large, '
                       'or the outcome could not be reported; %s',
                    release_unknown.worker_id,
                    task.attempt,
                    CASE WHEN NOT task.is_charged THEN 'no retry is charged the first time'
                         WHEN task.retry_count < task.max_retries
                         THEN format('retry %s of %s follows', task.retry_count + 1, task.max_retries)
                         ELSE format('no retry is left (max_retries %s)', task.max_retries) END),
                'ClaimUnheard',
                false,
                CASE WHEN task.is_charged THEN contentq.backoff(task.retry_count) END,
                task.is_charged
            );
            charged := charged + task.is_charged::integer;
        END LOOP;
    END IF;
    RAISE WARNING 'worker %: released % of its tasks, which it does not know of (retries charged: %)',
        release_unknown.worker_id, coalesce(cardinality(locked_ids), 0), charged;
END;
$$;

COMMENT ON FUNCTION contentq.release_unknown(bigint, bigint[], integer[]) IS
    'Internal: releases attempts that a live worker does not know of; a retry is charged from the second time on.';
