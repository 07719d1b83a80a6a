-- Deletes the next tasks that match selectors; their content stays.
-- Called by: operators, repeatedly with after_id => last_id.
-- Selectors: as in matching_tasks(). Processing tasks are not deleted.
-- Locks: the tasks, in id order, until the transaction ends: commit after each call. It waits at most a second for a lock.
-- Returns: tasks: how many it deleted; last_id: the after_id of the next call, NULL after the last tasks; locked: how many
--          it skipped because other sessions have locked them. Raises: 22023 without a selector, or for a status that
--          cannot be deleted.
CREATE OR REPLACE FUNCTION contentq.delete_matching(
    status text DEFAULT NULL,
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    error text DEFAULT NULL,
    worker_id bigint DEFAULT NULL,
    after_id bigint DEFAULT NULL,
    max_tasks integer DEFAULT 1000
)
RETURNS TABLE (tasks bigint, last_id bigint, locked bigint)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    chosen record;
    changed bigint := 0;
BEGIN
    SELECT c.*
    INTO chosen
    FROM contentq.choose_matching(
        'delete', delete_matching.status, delete_matching.account_id, delete_matching.category, delete_matching.batch,
        delete_matching.since, delete_matching.until, delete_matching.error, delete_matching.worker_id,
        delete_matching.after_id, delete_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (chosen.ids);
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

COMMENT ON FUNCTION contentq.delete_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, bigint, integer
) IS
    'Deletes up to max_tasks tasks above after_id that match all selectors and are not processing; their content stays. '
    'Returns how many, the after_id of the next call (NULL at the end), and how many were locked. The selectors are those '
    'of matching_tasks().';
