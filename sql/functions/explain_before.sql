-- Lists the ready tasks that a claim in strict order reaches before a task.
-- Called by: explain_ahead(). categories, blocked, by_deadline: as in choose_in_order().
-- priorities, accounts: NULL to read all tasks in order; otherwise only tasks of these accounts, each with its priority.
-- Locks: nothing.
-- Returns: at most `most` tasks, including due tasks that become ready at the next claim: the account, the priority, the
--          category ('' for none), and whether the task may start.
CREATE OR REPLACE FUNCTION contentq.explain_before(
    task public.content_generation_tasks,
    categories text[],
    blocked bigint[],
    by_deadline boolean,
    most integer,
    priorities integer[] DEFAULT NULL,
    accounts bigint[] DEFAULT NULL
)
RETURNS TABLE (account_id bigint, priority integer, category text, may_start boolean)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    WITH place AS (
        -- For each priority, the place that tasks ahead come before; all tasks of a higher priority do. NULL: not read
        -- here.
        SELECT p.priority,
               CASE WHEN p.priority > (task).priority THEN 'infinity'
                    WHEN NOT explain_before.by_deadline OR (task).timeout_at IS NULL THEN (task).submitted_at
               END AS submitted_at,
               CASE WHEN p.priority > (task).priority THEN 9223372036854775807 ELSE (task).id END AS id
        FROM generate_series((task).priority, 10) AS p (priority)
    )
    SELECT r.account_id, r.priority, left(coalesce(r.category, ''), 200),
           r.account_id <> ALL (explain_before.blocked)
           AND r.attempt < 2147483647
           AND contentq.is_of(r.category, explain_before.categories)
           -- Tasks of the same priority with a deadline are read in deadline order.
           AND NOT (r.is_in_order AND explain_before.by_deadline AND r.priority = (task).priority
                    AND r.timeout_at IS NOT NULL)
           AND CASE WHEN r.timeout_at IS NULL THEN true
                    WHEN explain_before.by_deadline
                    THEN NOT contentq.misses_deadline(r.timeout_at, r.category)
                    ELSE r.timeout_at > clock_timestamp() END
    FROM (
        SELECT s.*, true AS is_in_order
        FROM place AS p
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = p.priority
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.categories IS NULL
          AND explain_before.accounts IS NULL
        UNION ALL
        SELECT s.*, true
        FROM place AS p
        CROSS JOIN unnest(explain_before.categories) AS c (category)
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND t.category = c.category
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.accounts IS NULL
        UNION ALL
        SELECT s.*, true
        FROM place AS p
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.accounts IS NULL
          AND array_position(explain_before.categories, NULL) IS NOT NULL
        UNION ALL
        SELECT s.*, true
        FROM unnest(explain_before.priorities, explain_before.accounts) AS a (priority, account_id)
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM place AS p
            CROSS JOIN public.content_generation_tasks AS t
            WHERE p.priority = a.priority
              AND t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - a.priority
              AND t.account_id = a.account_id
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            LIMIT explain_before.most
        ) AS s
        UNION ALL
        SELECT s.*, false
        FROM (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.timeout_at IS NOT NULL
              AND (10 - t.priority) = 10 - (task).priority
              AND (t.timeout_at, t.submitted_at, t.id)
                  < (coalesce((task).timeout_at, 'infinity'),
                     CASE WHEN (task).timeout_at IS NULL THEN 'infinity' ELSE (task).submitted_at END,
                     CASE WHEN (task).timeout_at IS NULL THEN 9223372036854775807 ELSE (task).id END)
            ORDER BY (10 - t.priority), t.timeout_at, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.by_deadline
        UNION ALL
        SELECT d.account_id, d.priority, d.category, d.timeout_at, d.attempt, false
        FROM (
            SELECT t.id, t.account_id, t.priority, t.category, t.timeout_at, t.attempt, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NOT NULL
              AND t.scheduled_at <= (SELECT clock_timestamp())
            ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
            LIMIT 1000
        ) AS d
        WHERE d.id <> (task).id
          AND (d.priority > (task).priority
               OR d.priority = (task).priority
               AND (CASE WHEN explain_before.by_deadline THEN coalesce(d.timeout_at, 'infinity') ELSE '-infinity' END,
                    explain_before.by_deadline AND d.timeout_at IS NULL, d.submitted_at, d.id)
                   < (CASE WHEN explain_before.by_deadline THEN coalesce((task).timeout_at, 'infinity')
                           ELSE '-infinity' END,
                      explain_before.by_deadline AND (task).timeout_at IS NULL, (task).submitted_at, (task).id))
        LIMIT explain_before.most
    ) AS r
    LIMIT explain_before.most;
$$;

COMMENT ON FUNCTION contentq.explain_before(
    public.content_generation_tasks, text[], bigint[], boolean, integer, integer[], bigint[]) IS
    'Internal: the ready tasks that a claim in strict order reaches before a task.';
