-- Finds tasks that wait too long or that no live worker claims, retries that are delayed for long, and content that waits
-- for review.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
-- Of ready tasks, it reads the oldest of each priority and category in the index that claims use, at most 2000. Of delayed
-- tasks, it reads at most 10,000; of content, the 1000 that have been pending longest. A caller who may see only the tasks
-- of some accounts gets a finding about that and findings about those tasks only.
CREATE OR REPLACE FUNCTION contentq.doctor_waiting()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- Constants: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    live constant contentq.workers[] := ARRAY(
        SELECT w
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        WHERE w.heartbeat_at >= now_ - s.heartbeat_timeout
          AND NOT w.draining
    );
    shut constant text[] := ARRAY(SELECT g.key FROM contentq.gates AS g WHERE g.opens_at > now_ + interval '1 day');
    put_off record;
    reviews record;
BEGIN
    IF row_security_active('public.content_generation_tasks') THEN
        RETURN QUERY SELECT
            'advice', 'unseen', 'tasks', format('%s may see only the tasks of some accounts', session_user),
            'Problems of the other tasks stay unknown.', 'run contentq doctor as a member of contentq_operator';
    END IF;

    RETURN QUERY
    WITH RECURSIVE ready AS (
        (SELECT p.priority, f.category, f.task_id, f.since
         FROM generate_series(1, 10) AS p (priority)
         CROSS JOIN LATERAL (
             SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NULL
               AND t.category IS NOT NULL
               AND (10 - t.priority) = 10 - p.priority
             ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
             LIMIT 1
         ) AS f)
        UNION ALL
        SELECT r.priority, n.category, n.task_id, n.since
        FROM ready AS r
        CROSS JOIN LATERAL (
            SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NOT NULL
              AND (10 - t.priority) = 10 - r.priority
              AND t.category > r.category
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT 1
        ) AS n
    ),
    heads AS MATERIALIZED (
        (SELECT r.* FROM ready AS r LIMIT 2000)
        UNION ALL
        SELECT p.priority, f.category, f.task_id, f.since
        FROM generate_series(1, 10) AS p (priority)
        CROSS JOIN LATERAL (
            SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NULL
              AND (10 - t.priority) = 10 - p.priority
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT 1
        ) AS f
    ),
    judged AS (
        SELECT h.*,
               coalesce(quote_literal(h.category), 'without a category') AS category_name,
               CASE
                   WHEN cardinality(live) = 0 THEN 'no_live_worker'
                   WHEN c.suiting = 0 THEN 'tasks_nobody_claims'
                   WHEN c.open = 0 THEN 'tasks_behind_closed_gates'
                   ELSE 'tasks_wait'
               END AS finding
        FROM heads AS h
        CROSS JOIN LATERAL (
            SELECT count(*) AS suiting,
                   count(*) FILTER (WHERE '*' <> ALL (shut)
                                      AND CASE WHEN w.gates IS NULL THEN coalesce(w.gate, '') <> ALL (shut)
                                               ELSE NOT w.gates <@ shut END) AS open
            FROM unnest(live) AS w
            WHERE coalesce(w.categories IS NULL OR h.category = ANY (w.categories), false)
        ) AS c
    ),
    told AS (
        SELECT j.finding,
               array_to_string((array_agg(DISTINCT j.category_name))[:10], ', ')
               || CASE WHEN count(DISTINCT j.category_name) > 10 THEN ', ...' ELSE '' END AS categories,
               count(DISTINCT j.category_name) AS number,
               min(j.since) AS since,
               (array_agg(j.task_id ORDER BY j.since, j.task_id))[1] AS task_id
        FROM judged AS j
        WHERE j.since < now_ - CASE j.finding WHEN 'tasks_wait' THEN interval '1 hour' ELSE interval '1 minute' END
        GROUP BY j.finding
    )
    SELECT CASE t.finding WHEN 'no_live_worker' THEN 'error' WHEN 'tasks_wait' THEN 'advice' ELSE 'warning' END,
           t.finding,
           CASE WHEN t.finding IN ('no_live_worker', 'tasks_wait') THEN 'tasks'
                ELSE format('categories: %s', t.number) END,
           format('ready tasks (%s), the oldest for %s: %s', t.categories, date_trunc('second', now_ - t.since), t.task_id)
           || CASE t.finding
                  WHEN 'tasks_nobody_claims' THEN '; no live worker claims them'
                  WHEN 'tasks_behind_closed_gates'
                  THEN format('; the gates of all workers that claim them are closed for more than a day: %s',
                              array_to_string(shut[:10], ', '))
                  WHEN 'no_live_worker' THEN '; there is no live worker'
                  ELSE '' END,
           CASE t.finding
               WHEN 'tasks_wait' THEN 'There may be too few workers, or a pause, cap or budget of an account blocks them.'
               ELSE 'They wait until someone acts.' END,
           CASE t.finding
               WHEN 'no_live_worker' THEN 'contentq worker'
               WHEN 'tasks_nobody_claims' THEN 'start a worker that claims them: contentq worker --category ...'
               WHEN 'tasks_behind_closed_gates' THEN 'contentq resume --gate ...'
               ELSE format('contentq explain %s', t.task_id) END
    FROM told AS t
    ORDER BY t.finding;

    SELECT count(*) AS read, count(*) FILTER (WHERE f.failed) AS number, max(p.scheduled_at) FILTER (WHERE f.failed) AS until,
           (array_agg(p.task_id ORDER BY p.scheduled_at DESC) FILTER (WHERE f.failed))[1] AS task_id
    INTO put_off
    FROM (
        SELECT t.task_id, t.scheduled_at, t.attempt, t.error_message, t.handler_state
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at > now_ + (SELECT greatest(s.backoff_max, interval '1 hour') FROM contentq.settings AS s)
        ORDER BY t.scheduled_at DESC, t.priority, t.submitted_at DESC, t.id DESC
        LIMIT 10000
    ) AS p
    CROSS JOIN LATERAL (
        SELECT p.attempt > 0 AND p.error_message IS NOT NULL AND NOT coalesce(p.handler_state ? 'asked_by_attempt', false)
                   AS failed
    ) AS f;
    IF put_off.number > 0 THEN
        RETURN QUERY SELECT
            'advice', 'retries_put_off', format('tasks: %s%s', put_off.number, CASE WHEN put_off.read = 10000 THEN ' or more' ELSE '' END),
            format('the last attempt failed, and the next is later than any backoff: the latest at %s (%s)',
                   date_trunc('second', put_off.until), put_off.task_id),
            'The cause may be gone by now.',
            format('contentq explain %s; to make it ready: UPDATE public.content_generation_tasks SET scheduled_at = NULL '
                   'WHERE task_id = %L', put_off.task_id, put_off.task_id);
    END IF;

    SELECT count(*) AS read, count(*) FILTER (WHERE f.waits) AS number, min(p.created_at) FILTER (WHERE f.waits) AS since,
           (array_agg(p.id ORDER BY p.created_at, p.id) FILTER (WHERE f.waits))[1] AS id
    INTO reviews
    FROM (
        SELECT c.id, c.created_at::timestamptz AS created_at, c.generation_task_id
        FROM public.contents AS c
        WHERE c.review_status = 'pending'
        ORDER BY c.id + 0
        LIMIT 1000
    ) AS p
    CROSS JOIN LATERAL (
        SELECT p.generation_task_id IS NOT NULL AND p.created_at < now_ - interval '7 days' AS waits
    ) AS f;
    IF reviews.number > 0 THEN
        RETURN QUERY SELECT
            'advice', 'reviews_wait', format('contents: %s%s', reviews.number, CASE WHEN reviews.read = 1000 THEN ' or more' ELSE '' END),
            format('waiting for review for more than 7 days; content %s for %s', reviews.id,
                   date_trunc('second', now_ - reviews.since)),
            'Nobody reads content that was generated and paid for.',
            'SELECT content_id, title FROM contentq.review_queue; then contentq.approve(content_id) or contentq.reject(content_id)';
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.doctor_waiting() IS
    'Internal: findings of doctor() about tasks, retries and reviews that wait.';
