-- Registers that a session waits for the end of a task or a batch.
-- Called by: wait_channel(), which has read the task or batch with the rights of that session.
-- Locks: nothing. Returns: true if the wait is new or was not registered; false if it was registered before.
-- It registers nothing in a read-only transaction, nothing for a task or batch that does not exist or whose accounts the
-- caller may not see, and no more than 100,000 waits, because maintain() reads them all. Sessions that are not registered
-- get no notification and must poll.
CREATE OR REPLACE FUNCTION contentq.await_end(kind text, name text)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most_awaited constant integer := 100000;
    seen constant bigint[] := contentq.seen_accounts();
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE await_end.kind = 'task'
          AND t.task_id = await_end.name
          AND (seen IS NULL OR t.account_id + 0 = ANY (seen))
        UNION ALL
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE await_end.kind = 'batch'
          AND t.batch = await_end.name
          AND (seen IS NULL OR t.account_id + 0 = ANY (seen))
    ) THEN
        RETURN true;
    END IF;
    -- A repeated call writes nothing.
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = await_end.kind AND a.name = await_end.name) THEN
        RETURN false;
    END IF;
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN true;
    END IF;
    -- Counts the rows only if there may be so many.
    IF (SELECT max(a.id) FROM contentq.awaited AS a) - (SELECT min(a.id) FROM contentq.awaited AS a) < most_awaited - 1
        IS NOT FALSE
        OR (SELECT count(*) FROM contentq.awaited AS a) < most_awaited
    THEN
        INSERT INTO contentq.awaited (kind, name) VALUES (await_end.kind, await_end.name);
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION contentq.await_end(text, text) IS
    'Internal: registers that a session waits for the end of a task or a batch; returns whether that is new.';
