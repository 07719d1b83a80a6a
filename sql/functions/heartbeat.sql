-- Keeps a worker alive, returns the tasks that it must stop, and releases tasks that it does not know of.
-- Called by: every worker, every 2 seconds.
-- Locks: its own row, for which it waits at most a second (a worker whose row is locked is not rescued either); rows of
--        tasks to report or release in id order, skipping locked ones, so that no open transaction can make a live worker
--        look dead.
-- Returns: (id, attempt) of tasks that it must stop: cancelled tasks, and tasks in the list that it no longer holds, at
--          every call until they end; and tasks that are no longer its own (swept, or changed by hand), once.
-- Raises: CQ001 if the worker is not registered, CQ003 if another login registered it.
--
-- A claim may take effect although its reply is lost. Such a task would be held for as long as the worker lives. So tasks
-- that were claimed before complete_until and are not in the list are released (see release_unknown()). Claims under way
-- must not be judged: complete_until is the time of an earlier statement, and every claim sent before the reply to that
-- statement must have been answered when the list is made.
--
-- A call reads the tasks of the list and at most 10,000 others, and changes at most 1000 of each kind. So the heartbeat of
-- a live worker is never late, whatever the table contains, and the next call continues. Tasks claimed meanwhile, which
-- cannot be judged yet, are never that many. No worker sets a time of claim far in the future.
-- With any cached plan, EXCEPT takes little more than linear time; NOT IN, planned on an empty table, does not. Lists are
-- sorted, not hashed: a hash table that is filled in the order of another one takes quadratic time.
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
SET enable_hashagg = off
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
            RAISE WARNING 'heartbeat of worker % not recorded: its row in contentq.workers is locked by %',
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
        -- Expressions leave the planner no index but the primary key.
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
    -- Excludes tasks that this attempt has ended: the reply to its report may have come after the list was made.
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
    'Keeps a worker alive (after 10 seconds without a heartbeat its tasks are rescued) and returns (id, attempt) of the '
    'tasks that it must stop: cancelled, or no longer its own. busy: the number of tasks that it runs. ids, attempts: the '
    'attempts that it holds, complete for all claims until complete_until. Other tasks that it claimed before then are '
    'released, and charged a retry from the second time on. Raises CQ001 if it is not registered.';
