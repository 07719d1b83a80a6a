-- Cancels the next tasks that selectors are about, as cancel() does with one.
-- Called by: operators, again and again with after_id => last_id.
-- The selectors are as in matching_tasks(). Without a status, pending and processing tasks are cancelled.
-- Locks: the tasks, in order of their id, for as long as the transaction lasts: commit after each call. It waits for others
--        a second at most.
-- Returns: how many it changed; last_id: after which id to go on, NULL when there are no more; locked: how many it has left
--          since others hold them. Raises: 22023 without a selector, or for a status that it does not apply to.
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
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        changed := (SELECT count(*) FROM contentq.cancel_tasks(chosen.ids));
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

COMMENT ON FUNCTION contentq.cancel_matching(
    text, bigint, text, text, timestamptz, timestamptz, text, bigint, bigint, integer
) IS
    'Cancels up to max_tasks tasks above after_id that fit all selectors, as cancel() does; returns how many, and the id to '
    'go on after, NULL at the end. The selectors are those of matching_tasks().';
