-- Makes tasks ready that were locked when their batch answer arrived, and deletes answers and batches that are no longer
-- needed.
-- Called by: handlers of batches, every few seconds. Locks: requests and tasks; it skips rows that other sessions have
--            locked.
-- Answers of tasks that have ended or were deleted are deleted; a cost that no attempt reported is added to the usage of
-- their accounts. A batch or a request of another login that nobody has looked at for three days although it was due is
-- given up: that login has no worker for batches any more. The tasks look again when their snooze ends, and make a new
-- request. The caller's own batches are never given up: it tends them itself. Ended batches are deleted after
-- settings.retention, or 30 days if that is NULL.
-- Returns: how many answers it deleted.
CREATE OR REPLACE FUNCTION contentq.sweep_batches(worker_id bigint, max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    own_login constant text := session_user;
    left_since constant timestamptz := clock_timestamp() - interval '3 days';
    left_behind bigint;
    over_ids bigint[];
    unreported_ids bigint[];
    usages text[];
    account_ids bigint[];
    categories text[];
BEGIN
    IF NOT contentq.is_own_worker(sweep_batches.worker_id) THEN
        RETURN 0;
    END IF;
    PERFORM contentq.wake_answered(ARRAY(
        SELECT r.id
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.answered_at IS NOT NULL
          AND NOT r.is_taken
          AND t.status = 'pending'
          AND t.scheduled_at > clock_timestamp()
        ORDER BY r.answered_at
        LIMIT sweep_batches.max_rows
    ));
    WITH over AS (
        DELETE FROM contentq.batch_requests AS r
        WHERE (r.id, r.attempt) IN (
            SELECT a.id, a.attempt
            FROM contentq.batch_requests AS a
            LEFT JOIN public.content_generation_tasks AS t ON t.id = a.id
            WHERE a.answered_at IS NOT NULL
              AND NOT contentq.is_batch_wanted(t.status, t.handler_state, a.attempt)
            ORDER BY a.answered_at
            LIMIT sweep_batches.max_rows
            FOR UPDATE OF a SKIP LOCKED
        )
        RETURNING r.id, r.usage, r.is_taken, r.account_id, r.category
    )
    SELECT array_agg(o.id),
           array_agg(o.id) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.usage) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.account_id) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.category) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL)
    INTO over_ids, unreported_ids, usages, account_ids, categories
    FROM over AS o;
    IF unreported_ids IS NOT NULL THEN
        PERFORM contentq.add_usage(unreported_ids, usages, account_ids, categories);
    END IF;
    UPDATE contentq.provider_batches AS b
    SET status = 'abandoned',
        error = 'no worker of its login has looked at it for three days',
        ended_at = clock_timestamp(),
        tended_by = NULL
    WHERE b.id = (
        SELECT l.id
        FROM contentq.provider_batches AS l
        WHERE l.ended_at IS NULL
          AND l.login <> own_login
          AND l.due_at < left_since
          AND coalesce(l.tended_until, left_since - interval '1 day') < left_since
        ORDER BY l.due_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING b.id INTO left_behind;
    DELETE FROM contentq.batch_requests AS r
    WHERE r.batch_id = left_behind
      AND r.answered_at IS NULL;
    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT l.id, l.attempt
        FROM contentq.batch_requests AS l
        WHERE l.batch_id IS NULL
          AND l.answered_at IS NULL
          AND l.login <> own_login
          AND l.due_at < left_since
        ORDER BY l.due_at
        LIMIT sweep_batches.max_rows
        FOR UPDATE SKIP LOCKED
    );
    DELETE FROM contentq.provider_batches AS b
    WHERE b.id IN (
        SELECT e.id
        FROM contentq.provider_batches AS e
        WHERE e.ended_at < clock_timestamp()
                           - coalesce((SELECT s.retention FROM contentq.settings AS s), interval '30 days')
          AND NOT EXISTS (SELECT FROM contentq.batch_requests AS r WHERE r.batch_id = e.id)
        ORDER BY e.ended_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    );
    RETURN coalesce(cardinality(over_ids), 0);
END;
$$;

COMMENT ON FUNCTION contentq.sweep_batches(bigint, integer) IS
    'Makes tasks ready that were locked when their batch answer arrived, deletes answers of ended tasks, and gives up batches '
    'of other logins that nobody has looked at for three days; returns how many answers it deleted.';
