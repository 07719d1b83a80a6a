-- Chooses and locks the next tasks that an operation with selectors changes.
-- Called by: requeue_matching(), cancel_matching(), delete_matching().
-- operation: requeue, cancel or delete. Selectors: as in matching_tasks(); at least one is required.
-- Locks: the tasks that it returns, as lock_selected() does.
-- Returns: their ids; last_id: the after_id of the next call, NULL after the last tasks; locked: how many tasks were left
--          out because other sessions have locked them.
-- Raises: 22023 without a selector, and as selected_statuses() does.
CREATE OR REPLACE FUNCTION contentq.choose_matching(
    operation text,
    status text,
    account_id bigint,
    category text,
    batch text,
    since timestamptz,
    until timestamptz,
    error text,
    worker_id bigint,
    after_id bigint,
    max_tasks integer,
    OUT ids bigint[],
    OUT last_id bigint,
    OUT locked bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    wanted constant integer := least(greatest(coalesce(choose_matching.max_tasks, 1000), 1), 10000);
    statuses constant text[] := contentq.selected_statuses(choose_matching.operation, choose_matching.status);
    found bigint[];
BEGIN
    IF num_nonnulls(
        choose_matching.status, choose_matching.account_id, choose_matching.category, choose_matching.batch,
        choose_matching.since, choose_matching.until, choose_matching.error, choose_matching.worker_id) = 0
    THEN
        RAISE EXCEPTION 'no selector given: name the tasks to %', choose_matching.operation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass at least one selector, such as status or batch. To select all tasks: since => ''-infinity''.';
    END IF;
    found := ARRAY(
        SELECT contentq.select_tasks(
            statuses, choose_matching.account_id, choose_matching.category, choose_matching.batch, choose_matching.since,
            choose_matching.until, choose_matching.error, choose_matching.worker_id,
            only_rejected => choose_matching.operation = 'requeue', beyond_id => choose_matching.after_id,
            max_tasks => wanted)
    );
    last_id := CASE WHEN cardinality(found) = wanted THEN found[wanted] END;
    locked := 0;
    ids := '{}';
    IF cardinality(found) = 0 THEN
        RETURN;
    END IF;
    SELECT l.ids, l.locked INTO ids, locked FROM contentq.lock_selected(found, statuses) AS l;
END;
$$;

COMMENT ON FUNCTION contentq.choose_matching(
    text, text, bigint, text, text, timestamptz, timestamptz, text, bigint, bigint, integer
) IS
    'Internal: chooses and locks the next tasks that an operation with selectors changes; returns their ids, the after_id '
    'of the next call, and how many tasks other sessions have locked.';
