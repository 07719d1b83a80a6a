-- Keeps a worker alive, tells it which tasks to stop, and releases those that it does not know of.
-- Called by: every worker, every 2 seconds.
-- Locks: its own row, for which it waits a second at most: one that is locked keeps its worker from being rescued, too;
--        rows of tasks to be told about or released in id order, skipping those that others hold, so
--        that nobody's open transaction can make a live worker look dead.
-- Returns: (id, attempt) of tasks that it should stop: cancelled ones, and ones that it lists and no longer holds, at
--          every call until they end; and ones no longer its own (swept, or changed by hand), once.
-- Raises: CQ001 when the worker is not registered (any more), CQ003 when another login has registered it.
--
-- A claim may take effect although its answer is lost on the way. Such a task would be held for as long as the worker
-- lives; so what was claimed until complete_until and is not listed is taken back (see release_unknown()). A claim that
-- is under way must not be judged: complete_until is the time of an earlier statement, and every claim that was sent
-- before the answer to that statement must have been answered when the list is made.
--
-- A call reads the tasks of the list and 10,000 others at most, and changes 1000 of each kind: whatever is in the table,
-- a live worker is heard in time, and the next call goes on. What is claimed meanwhile, and so cannot be judged yet, is
-- never that many; a time of a claim that is far in the future is no worker's doing.
-- EXCEPT compares in linear time whatever plan a session has cached; NOT IN, planned on an empty table, does not.
CREATE OR REPLACE FUNCTION contentq.heartbeat(
    worker_id bigint,
    busy integer DEFAULT NULL,
    ids bigint[] DEFAULT NULL,
    attempts integer[] DEFAULT NULL,
    complete_until timestamptz DEFAULT NULL
)
RETURNS TABLE (id bigint, attempt integer)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    is_registered boolean;
    held_ids bigint[];
    held_attempts integer[];
    held_since timestamptz[];
    held_cancelled boolean[];
    unknown_ids bigint[];
    unknown_attempts integer[];
BEGIN
    BEGIN
        UPDATE contentq.workers AS w
        SET heartbeat_at = clock_timestamp(),
            busy = coalesce(heartbeat.busy, w.busy)
        WHERE w.id = heartbeat.worker_id
          AND w.login = session_user;
        is_registered := FOUND;
    EXCEPTION
        WHEN lock_not_available THEN
            is_registered := true;
            RAISE WARNING 'worker % cannot be noted as alive: its row in contentq.workers is locked by %',
                heartbeat.worker_id,
                (SELECT contentq.lock_holder(w.xmax) FROM contentq.workers AS w WHERE w.id = heartbeat.worker_id);
    END;
    IF NOT is_registered THEN
        PERFORM contentq.raise_not_registered(heartbeat.worker_id);
    END IF;

    IF heartbeat.ids IS NOT NULL THEN
        SELECT array_agg(h.id), array_agg(h.attempt), array_agg(h.started_at), array_agg(h.is_cancelled)
        INTO held_ids, held_attempts, held_since, held_cancelled
        FROM contentq.held_attempts(heartbeat.worker_id, 10000 + cardinality(heartbeat.ids)) AS h;
    END IF;

    IF heartbeat.complete_until IS NOT NULL AND held_ids IS NOT NULL THEN
        SELECT array_agg(u.id), array_agg(u.attempt)
        INTO unknown_ids, unknown_attempts
        FROM (
            SELECT h.id, h.attempt
            FROM unnest(held_ids, held_attempts, held_since) AS h (id, attempt, started_at)
            WHERE h.started_at < heartbeat.complete_until
               OR h.started_at > clock_timestamp() + interval '1 hour'
            EXCEPT
            SELECT l.id, l.attempt
            FROM unnest(heartbeat.ids, heartbeat.attempts) AS l (id, attempt)
            LIMIT 1000
        ) AS u;
        IF unknown_ids IS NOT NULL THEN
            PERFORM contentq.release_unknown(heartbeat.worker_id, unknown_ids, unknown_attempts);
        END IF;
    END IF;

    RETURN QUERY
    WITH revoked AS MATERIALIZED (
        SELECT r.id, r.attempt, r.is_lost
        FROM contentq.revoked_attempts(heartbeat.worker_id) AS r
    ),
    lost AS MATERIALIZED (
        -- By expressions, which leave no index but the primary key.
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (ARRAY(SELECT r.id FROM revoked AS r WHERE r.is_lost LIMIT 1000))
          AND t.worker_id + 0 = heartbeat.worker_id
          AND t.status || '' <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    ),
    told AS (
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM lost AS l
        WHERE t.id = ANY (ARRAY[l.id])
        RETURNING t.id, t.attempt
    ),
    not_seen AS MATERIALIZED (
        SELECT l.id, l.attempt
        FROM unnest(heartbeat.ids, heartbeat.attempts) AS l (id, attempt)
        EXCEPT
        SELECT h.id, h.attempt
        FROM unnest(held_ids, held_attempts) AS h (id, attempt)
    )
    SELECT d.id::bigint, d.attempt
    FROM told AS d
    UNION
    SELECT r.id, r.attempt
    FROM revoked AS r
    WHERE NOT r.is_lost
    UNION
    SELECT h.id, h.attempt
    FROM unnest(held_ids, held_attempts, held_cancelled) AS h (id, attempt, is_cancelled)
    WHERE h.is_cancelled
    UNION
    -- Not one that this attempt has ended: its report may have been answered since the list was made.
    SELECT n.id, n.attempt
    FROM not_seen AS n
    LEFT JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE t.id IS NULL
       OR t.attempt <> n.attempt
       OR t.status = 'pending'
       OR t.status = 'processing'
          AND (t.worker_id IS DISTINCT FROM heartbeat.worker_id OR t.cancel_requested_at IS NOT NULL)
       OR t.status <> 'processing' AND t.worker_id = heartbeat.worker_id;
END;
$$;

COMMENT ON FUNCTION contentq.heartbeat(bigint, integer, bigint[], integer[], timestamptz) IS
    'Keeps a worker alive (10 seconds of silence and its tasks are rescued) and returns (id, attempt) of the '
    'tasks that it should stop: cancelled, or no longer its own. busy: tasks that it is running. ids, attempts: the '
    'attempts that it holds, complete for all that was claimed until complete_until; others of its tasks from before '
    'then are released, and charged a retry from the second time on. Raises CQ001 when it is not registered.';
