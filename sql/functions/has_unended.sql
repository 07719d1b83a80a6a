-- Says whether a batch has tasks of an account that have not ended, beside those that other transactions are just changing.
-- Called by: tell_waiters(). Locks: nothing. Returns: whether there is one.
-- Of two transactions that end the last tasks at the same time neither sees what the other does: so what is being changed
-- counts as ended, and who is told too early looks again (see wait_channel()).
CREATE OR REPLACE FUNCTION contentq.has_unended(batch text, account_id bigint)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE t.batch = has_unended.batch
          AND t.status IN ('pending', 'processing')
          AND t.account_id = has_unended.account_id
          AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))
    );
END;
$$;

COMMENT ON FUNCTION contentq.has_unended(text, bigint) IS
    'Internal: whether a batch has tasks of an account that have not ended, beside those that are being changed.';
