-- Lists tasks of a worker that cannot be reported because another session has locked a row that reports change.
-- Called by: workers whose report waited for a lock too long; they then report the others without these.
-- Locks: the tasks, their accounts and their contents, as reports do, skipping locked ones, so it never waits. It releases
--        these locks before it returns: running with the rights of its owner, it must not keep them for a caller.
-- Returns: the ids, and for each one what is locked and by which session.
-- It ignores tasks that the worker does not hold: none of its reports waits for them.
CREATE OR REPLACE FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[])
RETURNS TABLE (id bigint, by text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET enable_sort = on
AS $$
#variable_conflict use_column
DECLARE
    found_ids bigint[];
    found_accounts bigint[];
    found_contents bigint[];
    free_tasks bigint[];
    free_accounts bigint[];
    free_contents bigint[];
BEGIN
    IF NOT contentq.is_own_worker(locked_tasks.worker_id) THEN
        RETURN;
    END IF;
    SELECT array_agg(t.id), array_agg(t.account_id), array_agg(t.content_id)
    INTO found_ids, found_accounts, found_contents
    FROM unnest(locked_tasks.ids) AS n (id)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id);

    BEGIN
        free_tasks := ARRAY(
            SELECT t.id
            FROM unnest(found_ids) AS n (id)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR NO KEY UPDATE OF t SKIP LOCKED
        );
        -- FOR KEY SHARE, as the foreign key of contents does.
        free_accounts := ARRAY(
            SELECT a.id
            FROM (SELECT DISTINCT u.id FROM unnest(found_accounts) AS u (id)) AS n
            JOIN public.accounts AS a ON a.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR KEY SHARE OF a SKIP LOCKED
        );
        free_contents := ARRAY(
            SELECT c.id
            FROM (SELECT DISTINCT u.id FROM unnest(found_contents) AS u (id)) AS n
            JOIN public.contents AS c ON c.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR NO KEY UPDATE OF c SKIP LOCKED
        );
        RAISE EXCEPTION USING ERRCODE = 'CQ000';
    EXCEPTION
        WHEN SQLSTATE 'CQ000' THEN
            NULL;
    END;

    RETURN QUERY
    SELECT n.id,
           CASE
               WHEN n.id <> ALL (free_tasks)
               THEN (SELECT 'its row is locked by ' || contentq.lock_holder(t.xmax)
                     FROM public.content_generation_tasks AS t
                     WHERE t.id = n.id)
               WHEN n.account_id <> ALL (free_accounts)
               THEN (SELECT 'its account is locked by ' || contentq.lock_holder(a.xmax)
                     FROM public.accounts AS a
                     WHERE a.id = n.account_id)
               ELSE (SELECT 'its content is locked by ' || contentq.lock_holder(c.xmax)
                     FROM public.contents AS c
                     WHERE c.id = n.content_id)
           END
    FROM unnest(found_ids, found_accounts, found_contents) AS n (id, account_id, content_id)
    WHERE n.id <> ALL (free_tasks)
       OR n.account_id <> ALL (free_accounts)
       OR n.content_id IS NOT NULL AND n.content_id <> ALL (free_contents);
END;
$$;

COMMENT ON FUNCTION contentq.locked_tasks(bigint, bigint[]) IS
    'Those of these tasks that this worker holds and cannot report now, because another session has locked their row, '
    'account or content, and which session that is.';
