-- Says which of the tasks that a worker holds cannot be reported, since another session has locked what reports change.
-- Called by: workers whose report had to wait for a lock too long: the others are then reported without these.
-- Locks: the tasks, their accounts and their contents, as reports do, skipping what others hold (so it never waits), and
--        gives the locks back before it returns: with the rights of its owner it must not keep them for a caller.
-- Returns: the ids, each with what is locked and by whom.
-- Tasks that the worker does not hold are left alone: no report of it waits for them.
CREATE OR REPLACE FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[])
RETURNS TABLE (id bigint, by text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    held bigint[];
    free_tasks bigint[];
    free_accounts bigint[];
    free_contents bigint[];
BEGIN
    IF NOT contentq.is_own_worker(locked_tasks.worker_id) THEN
        RETURN;
    END IF;
    held := ARRAY(
        SELECT t.id
        FROM unnest(locked_tasks.ids) AS n (id)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
        WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id)
    );
    BEGIN
        free_tasks := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (held)
            ORDER BY t.id
            FOR NO KEY UPDATE SKIP LOCKED
        );
        -- As the foreign key of content does.
        free_accounts := ARRAY(
            SELECT a.id
            FROM public.accounts AS a
            WHERE a.id IN (SELECT t.account_id FROM public.content_generation_tasks AS t WHERE t.id = ANY (held))
            ORDER BY a.id
            FOR KEY SHARE SKIP LOCKED
        );
        free_contents := ARRAY(
            SELECT c.id
            FROM public.contents AS c
            WHERE c.id IN (SELECT t.content_id FROM public.content_generation_tasks AS t WHERE t.id = ANY (held))
            ORDER BY c.id
            FOR NO KEY UPDATE SKIP LOCKED
        );
        RAISE EXCEPTION USING ERRCODE = 'CQ000';
    EXCEPTION
        WHEN SQLSTATE 'CQ000' THEN
            NULL;
    END;

    RETURN QUERY
    SELECT t.id::bigint,
           CASE WHEN t.id <> ALL (free_tasks) THEN 'its row is locked by ' || contentq.lock_holder(t.xmax)
                WHEN a.id <> ALL (free_accounts) THEN 'its account is locked by ' || contentq.lock_holder(a.xmax)
                ELSE 'its content is locked by ' || contentq.lock_holder(c.xmax) END
    FROM public.content_generation_tasks AS t
    JOIN public.accounts AS a ON a.id = t.account_id
    LEFT JOIN public.contents AS c ON c.id = t.content_id
    WHERE t.id = ANY (held)
      AND (t.id <> ALL (free_tasks)
           OR a.id <> ALL (free_accounts)
           OR c.id IS NOT NULL AND c.id <> ALL (free_contents));
END;
$$;

COMMENT ON FUNCTION contentq.locked_tasks(bigint, bigint[]) IS
    'Of these tasks, those that this worker holds and cannot report now, since another session has locked their row, '
    'account or content, and which session that is.';
