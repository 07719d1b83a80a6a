-- Explains what in a waiting task itself keeps it from starting, regardless of its account and of workers.
-- Called by: explain_waiting(). Locks: nothing. Returns: one line for each reason; no rows if it is ready or due.
CREATE OR REPLACE FUNCTION contentq.explain_own(task public.content_generation_tasks)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    now_ constant timestamptz := clock_timestamp();
    median constant interval := contentq.median_duration((task).category);
    blocker integer;
    batch contentq.provider_batches;
    is_asked boolean := false;
BEGIN
    IF (task).timeout_at <= now_ THEN
        RETURN NEXT format('its deadline has passed (%s): it will end as timeout',
                           date_trunc('second', (task).timeout_at));
    ELSIF (task).timeout_at <= now_ + median AND (SELECT s.deadlines FROM contentq.settings AS s) THEN
        RETURN NEXT format('it cannot finish by its deadline (%s, in %s s): tasks %s take %s s (median), so it will end as '
                           'timeout; to give it more time, raise timeout_at',
                           date_trunc('second', (task).timeout_at),
                           round(extract(epoch FROM (task).timeout_at - now_)::numeric, 1),
                           coalesce('of category ' || quote_literal((task).category), 'without a category'),
                           round(extract(epoch FROM median)::numeric, 1));
    END IF;

    IF (task).scheduled_at > now_ AND (task).handler_state ? 'asked_by_attempt' THEN
        SELECT b.*
        INTO batch
        FROM contentq.batch_requests AS r
        LEFT JOIN contentq.provider_batches AS b ON b.id = r.batch_id
        WHERE r.id = (task).id
          AND r.attempt::text = (task).handler_state->>'asked_by_attempt'
          AND r.answered_at IS NULL;
        is_asked := FOUND;
    END IF;
    IF (task).scheduled_at = 'infinity' THEN
        RETURN NEXT 'it is not due: scheduled_at is infinity; to make it ready, set scheduled_at to NULL';
    ELSIF is_asked THEN
        RETURN NEXT CASE
            WHEN batch.id IS NULL THEN 'its request waits to be sent to the provider in a batch'
            ELSE format('its request waits for the answer in batch %s of the provider: %s, %s of %s requests done%s',
                        coalesce(batch.provider_id, batch.key::text), batch.status, batch.completed, batch.requests,
                        '; ' || batch.error)
        END;
    ELSIF (task).scheduled_at > now_ THEN
        RETURN NEXT format('it is not due for %s: scheduled_at is %s%s',
                           date_trunc('second', (task).scheduled_at - now_),
                           date_trunc('second', (task).scheduled_at),
                           CASE WHEN (task).attempt > 0
                                THEN '; the last attempt ended with: ' || (task).error_message END);
    END IF;

    IF NOT contentq.is_ready((task).status, NULL, NULL, (task).attempt) THEN
        RETURN NEXT 'its attempt is the highest possible number, so it is never claimed: insert the task again';
    END IF;

    -- As in worker_status: the xmax of a row is the last transaction that locked it.
    SELECT l.pid
    INTO blocker
    FROM public.content_generation_tasks AS t
    JOIN pg_locks AS l ON l.transactionid = t.xmax
    WHERE t.id = (task).id
      AND l.locktype = 'transactionid'
      AND l.granted
      AND l.pid <> pg_backend_pid()
    LIMIT 1;
    IF FOUND THEN
        RETURN NEXT format('another session has locked its row, so claims skip it until the transaction of that session '
                           'ends: see SELECT * FROM pg_stat_activity WHERE pid = %s', blocker);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.explain_own(public.content_generation_tasks) IS
    'Internal: what in a waiting task itself keeps it from starting, one line for each reason.';
