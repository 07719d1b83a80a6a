-- Completes tasks that a worker holds, many in one call.
-- Called by: workers, after handlers succeeded.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- It ignores attempts that the worker no longer holds. A task that was cancelled meanwhile ends failed, a task past its
-- deadline ends timeout; neither counts.
-- content_ids names content that the caller has stored itself, for logins that may do so; other logins, such as those of
-- contentq_worker, use store(). Content of the task's account that belongs to no task becomes the task's
-- (generation_task_id). It is approved if the task has auto_approve and the login may approve. Model, tokens and cost in a
-- result are added to the usage of the task's account (see add_usage()).
-- Raises: 42501 for content_ids if the login may not insert contents; 22003, 22P02, 22P05 or 54001, with nothing changed,
--         if a result is not JSON that jsonb can hold.
CREATE OR REPLACE FUNCTION contentq.complete(
    worker_id bigint,
    ids bigint[],
    attempts integer[],
    results text[] DEFAULT NULL,
    content_ids bigint[] DEFAULT NULL
)
RETURNS SETOF bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    completed bigint[];
    completed_results text[];
    last_began_at timestamptz;
    tokens numeric;
BEGIN
    IF NOT contentq.is_own_worker(complete.worker_id) THEN
        RETURN;
    END IF;
    IF num_nonnulls(VARIADIC complete.content_ids) > 0
        AND NOT has_any_column_privilege(session_user, 'public.contents', 'INSERT')
    THEN
        RAISE EXCEPTION 'login % may not pass content_ids', session_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'content_ids requires the right to insert contents. Use contentq.store(), which stores the content '
                         'and completes the task.';
    END IF;
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt, r.result, r.content_id
        FROM unnest(complete.ids, complete.attempts, complete.results, complete.content_ids)
            AS r (id, attempt, result, content_id)
        ORDER BY r.id
    ),
    counted AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'completed',
            completed_at = clock_timestamp(),
            result = r.result::json,
            content_id = coalesce(r.content_id, t.content_id),
            error_message = NULL,
            revision_note = NULL,
            worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM reported AS r
        WHERE t.id = ANY (ARRAY[r.id])
          AND t.attempt = r.attempt
          AND contentq.is_held(t.status, t.worker_id, complete.worker_id)
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        RETURNING t.id, r.result, t.started_at
    )
    SELECT coalesce(array_agg(c.id), '{}'), array_agg(c.result), max(c.started_at)
    INTO completed, completed_results, last_began_at
    FROM counted AS c;

    IF cardinality(completed) < cardinality(complete.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(complete.worker_id, complete.ids, complete.attempts);
    END IF;

    IF cardinality(completed) > 0
        AND (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = complete.worker_id) > 0
    THEN
        PERFORM contentq.clear_failures(ARRAY[complete.worker_id]);
    END IF;

    -- A cheap test first: most results have no cost.
    IF EXISTS (SELECT
               FROM unnest(completed_results) AS r (result)
               WHERE strpos(r.result, '_tokens"') > 0 OR strpos(r.result, '"cost"') > 0)
        OR cardinality(completed) > 0
           AND (EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                OR EXISTS (SELECT FROM contentq.budgets AS b))
    THEN
        tokens := contentq.add_usage(completed, completed_results);
    END IF;
    PERFORM contentq.note_answers(
        complete.worker_id, cardinality(completed), last_began_at, tokens, completed, completed_results
    );

    -- + 0: contents are found by id, not among all contents of the account.
    IF complete.content_ids IS NOT NULL AND cardinality(completed) > 0 THEN
        WITH produced AS MATERIALIZED (
            SELECT t.id, t.content_id, t.account_id,
                   t.auto_approve AND has_column_privilege(session_user, 'public.contents', 'review_status', 'UPDATE')
                       AS is_approved
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (completed)
              AND t.content_id + 0 = ANY (complete.content_ids)
        )
        UPDATE public.contents AS c
        SET review_status = CASE WHEN p.is_approved AND c.review_status = 'pending' THEN 'approved'
                                 ELSE c.review_status END,
            generation_task_id = coalesce(c.generation_task_id, p.id)
        FROM produced AS p
        WHERE c.id = ANY (ARRAY[p.content_id])
          AND c.account_id + 0 = p.account_id
          AND (c.generation_task_id IS NULL OR p.is_approved AND c.review_status = 'pending');
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

COMMENT ON FUNCTION contentq.complete(bigint, bigint[], integer[], text[], bigint[]) IS
    'Completes the tasks (ids with their attempts) that this worker still holds. results: JSON as text. content_ids: the '
    'content that each task produced. Returns the ids that counted; the others were rescued, requeued, cancelled or past '
    'their deadline.';
