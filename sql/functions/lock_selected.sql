-- Locks the tasks that an operation with selectors is about to change and checks their status again.
-- Called by: choose_matching(). statuses: a task must still have one of these.
-- Locks: the tasks that it returns, in id order. It waits at most a second for each lock. If a lock takes longer, it leaves
--        out all tasks that are locked then.
-- Returns: the ids; locked: how many were left out.
CREATE OR REPLACE FUNCTION contentq.lock_selected(
    wanted bigint[],
    statuses text[],
    OUT ids bigint[],
    OUT locked bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
BEGIN
    locked := 0;
    -- IS TRUE: no plan uses status_idx, as a plan made while the table was empty would.
    ids := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (lock_selected.wanted)
          AND (t.status = ANY (lock_selected.statuses)) IS TRUE
        ORDER BY t.id
        FOR UPDATE
    );
EXCEPTION
    WHEN lock_not_available THEN
        ids := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (lock_selected.wanted)
              AND (t.status = ANY (lock_selected.statuses)) IS TRUE
            ORDER BY t.id
            FOR UPDATE SKIP LOCKED
        );
        locked := (SELECT count(*)
                   FROM public.content_generation_tasks AS t
                   WHERE t.id = ANY (lock_selected.wanted)
                     AND t.id <> ALL (ids)
                     AND (t.status = ANY (lock_selected.statuses)) IS TRUE);
END;
$$;

COMMENT ON FUNCTION contentq.lock_selected(bigint[], text[]) IS
    'Internal: locks those of these tasks that still have one of these statuses; returns their ids, and how many tasks '
    'other sessions have locked.';
