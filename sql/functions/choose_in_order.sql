-- Chooses and locks ready tasks of one priority in strict order, skipping those that may not start.
-- Called by: choose_by_priority().
-- categories: only these (see is_of()); NULL for all. blocked: accounts whose tasks may not start. blocked_keys: the same for an
-- account together with a category (see budget_key()). taken: tasks that the same claim chose earlier. by_deadline: tasks
-- with a deadline first, the earliest first. after_submitted, after_id: only tasks later in strict order; not with
-- by_deadline.
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, in order.
--
-- It reads windows of the order without locks and then locks the tasks that may start. It does not read tasks of other
-- categories: each category is a separate range of an index. A long run of tasks that may not start means blocked accounts.
-- It then looks up the first tasks of every other account (see choose_by_account()), however many tasks the blocked
-- accounts have. It reads about twice as many accounts as it has read tasks so far; beyond that, reading on costs less.
CREATE OR REPLACE FUNCTION contentq.choose_in_order(
    urgency integer,
    max_tasks integer,
    categories text[],
    blocked bigint[],
    taken bigint[],
    by_deadline boolean,
    blocked_keys text[] DEFAULT '{}',
    after_submitted timestamptz DEFAULT '-infinity',
    after_id bigint DEFAULT -9223372036854775808
)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    is_plain constant boolean := cardinality(choose_in_order.blocked_keys) = 0;
    has_without_category constant boolean := array_position(choose_in_order.categories, NULL) IS NOT NULL;
    chosen bigint[] := '{}'::bigint[];
    size integer := least(1000, greatest(50, 2 * choose_in_order.max_tasks));
    after_timeout timestamptz := clock_timestamp();
    walked integer := 0;
    seen record;
    by_account bigint[];
BEGIN
    WHILE choose_in_order.by_deadline AND cardinality(chosen) < choose_in_order.max_tasks LOOP
        SELECT count(*) AS read,
               array_agg(w.id::bigint ORDER BY w.timeout_at, w.submitted_at, w.id) FILTER (
                   WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                     AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                     AND contentq.is_of(w.category, choose_in_order.categories)
                     AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                     AND NOT contentq.misses_deadline(w.timeout_at, w.category)
               ) AS free,
               (array_agg(w.timeout_at ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS timeout_at,
               (array_agg(w.submitted_at ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
               (array_agg(w.id ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS id
        INTO seen
        FROM (
            SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.timeout_at IS NOT NULL
              AND (10 - t.priority) = 10 - choose_in_order.urgency
              AND (t.timeout_at, t.submitted_at, t.id) > (after_timeout, after_submitted, after_id)
            ORDER BY (10 - t.priority), t.timeout_at, t.submitted_at, t.id
            LIMIT size
        ) AS w;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_in_order.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size;
        after_timeout := seen.timeout_at;
        after_submitted := seen.submitted_at;
        after_id := seen.id;
        size := least(greatest(1000, 2 * size), 10000);
    END LOOP;

    IF choose_in_order.by_deadline THEN
        after_submitted := '-infinity';
        after_id := -9223372036854775808;
    END IF;
    WHILE cardinality(chosen) < choose_in_order.max_tasks LOOP
        IF choose_in_order.categories IS NULL THEN
            SELECT count(*) AS read,
                   array_agg(w.id::bigint ORDER BY w.submitted_at, w.id) FILTER (
                       WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                         AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                         AND (NOT choose_in_order.by_deadline OR w.timeout_at IS NULL)
                         AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                   ) AS free,
                   (array_agg(w.submitted_at ORDER BY w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
                   (array_agg(w.id ORDER BY w.submitted_at DESC, w.id DESC))[1] AS id
            INTO seen
            FROM (
                SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority = choose_in_order.urgency
                  AND (t.submitted_at, t.id) > (after_submitted, after_id)
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT size
            ) AS w;
        ELSE
            SELECT count(*) AS read,
                   array_agg(w.id::bigint ORDER BY w.submitted_at, w.id) FILTER (
                       WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                         AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                         AND (NOT choose_in_order.by_deadline OR w.timeout_at IS NULL)
                         AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                   ) AS free,
                   (array_agg(w.submitted_at ORDER BY w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
                   (array_agg(w.id ORDER BY w.submitted_at DESC, w.id DESC))[1] AS id
            INTO seen
            FROM (
                SELECT s.*
                FROM unnest(choose_in_order.categories) AS c (category)
                CROSS JOIN LATERAL (
                    SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                    FROM public.content_generation_tasks AS t
                    WHERE t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - choose_in_order.urgency
                      AND t.category = c.category
                      AND (t.submitted_at, t.id) > (after_submitted, after_id)
                    ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
                    LIMIT size
                ) AS s
                UNION ALL
                SELECT n.*
                FROM (
                    SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                    FROM public.content_generation_tasks AS t
                    WHERE has_without_category
                      AND t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - choose_in_order.urgency
                      AND t.category IS NULL
                      AND (t.submitted_at, t.id) > (after_submitted, after_id)
                    ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
                    LIMIT size
                ) AS n
                ORDER BY submitted_at, id
                LIMIT size
            ) AS w;
        END IF;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_in_order.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size OR cardinality(chosen) >= choose_in_order.max_tasks;
        after_submitted := seen.submitted_at;
        after_id := seen.id;
        walked := walked + size;
        IF choose_in_order.categories IS NULL AND NOT choose_in_order.by_deadline AND is_plain
            AND coalesce(cardinality(seen.free), 0) < size / 10
        THEN
            by_account := contentq.choose_by_account(
                choose_in_order.urgency, choose_in_order.max_tasks - cardinality(chosen), choose_in_order.blocked,
                choose_in_order.taken || chosen, 1000 + 2 * walked + cardinality(choose_in_order.blocked)
            );
            IF by_account IS NOT NULL THEN
                RETURN chosen || by_account;
            END IF;
        END IF;
        size := least(greatest(1000, 2 * size), 10000);
    END LOOP;
    RETURN chosen;
END;
$$;

COMMENT ON FUNCTION contentq.choose_in_order(
    integer, integer, text[], bigint[], bigint[], boolean, text[], timestamptz, bigint
) IS
    'Internal: chooses and locks ready tasks of one priority in strict order, skipping those that may not start.';
