-- Finds a task of a batch and an account that has not ended and that no other transaction is changing.
-- Called by: tell_waiters(). Locks: nothing. Returns: its id; NULL for none.
-- Two transactions that end the last tasks at the same time do not see each other's changes. So tasks that are being
-- changed count as ended, and sessions notified too early check again (see wait_channel()).
-- found_before: a task to check first. The index is then read from the end of the pending ones, where the latest tasks are:
-- beside an old snapshot, and in a transaction that ends many tasks, ended tasks are still at the beginning.
-- BETWEEN: with = on each column, the index would give no order.
CREATE OR REPLACE FUNCTION contentq.unended_task(batch text, account_id bigint, found_before bigint)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN coalesce(
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.id = unended_task.found_before
           AND t.batch || '' = unended_task.batch
           AND t.account_id + 0 = unended_task.account_id
           AND (t.status IN ('pending', 'processing')) IS TRUE
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))),
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.batch = unended_task.batch
           AND t.status = 'pending'
           AND t.account_id BETWEEN unended_task.account_id AND unended_task.account_id
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))
         ORDER BY t.batch, t.status, t.account_id DESC
         LIMIT 1),
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.batch = unended_task.batch
           AND t.status = 'processing'
           AND t.account_id BETWEEN unended_task.account_id AND unended_task.account_id
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))
         ORDER BY t.batch, t.status, t.account_id DESC
         LIMIT 1)
    );
END;
$$;

COMMENT ON FUNCTION contentq.unended_task(text, bigint, bigint) IS
    'Internal: a task of a batch and an account that has not ended, except tasks that are being changed.';
