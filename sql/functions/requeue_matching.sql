-- Makes the next tasks that match selectors pending again, as requeue() does for one task.
-- Called by: operators, repeatedly with after_id => last_id, so that no task is changed twice even if it fails quickly.
-- Selectors: as in matching_tasks(). Without a status, failed and timeout tasks are requeued; with status completed, those
-- with rejected content. note: as in requeue().
-- Locks: the tasks, in id order, until the transaction ends: commit after each call. It waits at most a second for a lock.
-- Returns: tasks: how many it changed; last_id: the after_id of the next call, NULL after the last tasks; locked: how many
--          it skipped because other sessions have locked them. Raises: 22023 without a selector, or for a status that
--          cannot be requeued.
CREATE OR REPLACE FUNCTION contentq.requeue_matching(
    status text DEFAULT NULL,
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    error text DEFAULT NULL,
    worker_id bigint DEFAULT NULL,
    note text DEFAULT NULL,
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
        'requeue', requeue_matching.status, requeue_matching.account_id, requeue_matching.category,
        requeue_matching.batch, requeue_matching.since, requeue_matching.until, requeue_matching.error,
        requeue_matching.worker_id, requeue_matching.after_id, requeue_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        changed := cardinality(contentq.requeue_tasks(chosen.ids, requeue_matching.note));
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

COMMENT ON FUNCTION contentq.requeue_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, text, bigint, integer
) IS
    'Requeues up to max_tasks tasks above after_id that match all selectors, as requeue() does. Returns how '
    'many, the after_id of the next call (NULL at the end), and how many were locked. The selectors are those of '
    'matching_tasks().';
