-- Finds a task of a batch that has not ended, of one account, and that no other transaction is just changing.
-- Called by: tell_waiters(). Locks: nothing. Returns: its id; NULL when there is none.
-- Of two transactions that end the last tasks at the same time neither sees what the other does: so what is being changed
-- counts as ended, and who is told too early looks again (see wait_channel()).
-- found_before: one that is looked at first. Then the index is read from the end of those that are pending, where the tasks are
-- that come last: beside an old snapshot, and in a transaction that ends many, those that have ended are still at the beginning.
-- BETWEEN: with one value for each column there would be no order.
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
    'Internal: a task of a batch and an account that has not ended, beside those that are being changed.';
