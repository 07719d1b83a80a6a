-- Chooses and locks tasks whose batch answer is ready to be collected. Budgets do not matter: the answer is already paid
-- for.
-- Called by: choose_ready().
-- blocked: accounts blocked for another reason than a budget. taken: tasks that the same claim chose earlier. categories: as
-- in choose_in_order().
-- Locks: the chosen tasks; it skips tasks that other sessions have locked.
-- Returns: their ids, the oldest answer first.
CREATE OR REPLACE FUNCTION contentq.choose_answered(max_tasks integer, categories text[], blocked bigint[], taken bigint[])
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN ARRAY(
        SELECT t.id::bigint
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.answered_at IS NOT NULL
          AND r.account_id <> ALL (choose_answered.blocked)
          AND contentq.is_ready(t.status, t.scheduled_at, t.timeout_at, t.attempt)
          AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt)
          AND contentq.is_of(t.category, choose_answered.categories)
          AND t.id <> ALL (choose_answered.taken)
        ORDER BY r.answered_at
        LIMIT choose_answered.max_tasks
        FOR UPDATE OF t SKIP LOCKED
    );
END;
$$;

COMMENT ON FUNCTION contentq.choose_answered(integer, text[], bigint[], bigint[]) IS
    'Internal: chooses and locks tasks whose batch answer is ready to be collected; returns their ids.';
