-- Cancels the next tasks that match selectors, as cancel() does for one task.
-- Called by: operators, repeatedly with after_id => last_id.
-- Selectors: as in matching_tasks(). Without a status, pending and processing tasks are cancelled.
-- Locks: the tasks, in id order, until the transaction ends: commit after each call. It waits at most a second for a lock.
-- Returns: tasks: how many it changed; last_id: the after_id of the next call, NULL after the last tasks; locked: how many
--          it skipped because other sessions have locked them. Raises: 22023 without a selector, or for a status that
--          cannot be cancelled.
CREATE OR REPLACE FUNCTION contentq.cancel_matching(
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
        'cancel', cancel_matching.status, cancel_matching.account_id, cancel_matching.category, cancel_matching.batch,
        cancel_matching.since, cancel_matching.until, cancel_matching.error, cancel_matching.worker_id,
        cancel_matching.after_id, cancel_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        changed := (SELECT count(*) FROM contentq.cancel_tasks(chosen.ids));
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

COMMENT ON FUNCTION contentq.cancel_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, bigint, integer
) IS
    'Cancels up to max_tasks tasks above after_id that match all selectors, as cancel() does. Returns how many, the '
    'after_id of the next call (NULL at the end), and how many were locked. The selectors are those of matching_tasks().';
