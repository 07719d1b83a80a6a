-- Lists the accounts of the 1000 ready tasks that follow a task in strict order, inside its priority.
-- Called by: choose_ready(). Locks: nothing. Returns: their ids, without duplicates.
CREATE OR REPLACE FUNCTION contentq.next_accounts(task_id bigint)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT n.account_id
        FROM (
            SELECT l.priority, l.submitted_at, l.id
            FROM public.content_generation_tasks AS l
            WHERE l.id = next_accounts.task_id
        ) AS l
        CROSS JOIN LATERAL (
            SELECT t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = l.priority
              AND (t.submitted_at, t.id) > (l.submitted_at, l.id)
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT 1000
        ) AS n
    );
END;
$$;

COMMENT ON FUNCTION contentq.next_accounts(bigint) IS
    'Internal: the accounts of the ready tasks that follow a task in strict order.';
