-- Notes that somebody waits for the end of a task or a batch.
-- Called by: wait_channel(), which has seen it with the rights of whoever waits.
-- Locks: nothing that others wait for but who notes the same, a second at most. Returns: whether it is noted only now.
-- Nothing is noted of what does not exist: the names would fill the table.
CREATE OR REPLACE FUNCTION contentq.await_end(kind text, name text)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- So that one that waits already writes nothing.
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = await_end.kind AND a.name = await_end.name) THEN
        RETURN false;
    END IF;
    INSERT INTO contentq.awaited (kind, name)
    SELECT await_end.kind, await_end.name
    WHERE CASE await_end.kind
              WHEN 'task' THEN EXISTS (SELECT
                                       FROM public.content_generation_tasks AS t
                                       WHERE t.task_id = await_end.name)
              WHEN 'batch' THEN EXISTS (SELECT
                                        FROM public.content_generation_tasks AS t
                                        WHERE t.batch = await_end.name)
          END
    ON CONFLICT DO NOTHING;
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN true;  -- someone has noted it in a transaction that goes on
END;
$$;

COMMENT ON FUNCTION contentq.await_end(text, text) IS
    'Internal: notes that somebody waits for the end of a task or a batch; returns whether that is new.';
