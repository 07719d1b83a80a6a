-- Chooses and locks ready tasks that have waited for longer than settings.aging, whatever their priority.
-- Called by: choose_ready(). The parameters are those of aged_tasks().
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, the longest waiting first.
CREATE OR REPLACE FUNCTION contentq.choose_aged(
    max_tasks integer,
    submitted_before timestamptz,
    categories text[],
    held bigint[],
    taken bigint[],
    by_deadline boolean
)
RETURNS bigint[]
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT contentq.lock_in_order(
        (SELECT array_agg(a.id ORDER BY a.submitted_at, a.id)
         FROM contentq.aged_tasks(
             choose_aged.submitted_before, choose_aged.categories, choose_aged.held, choose_aged.taken,
             choose_aged.by_deadline) AS a),
        choose_aged.max_tasks
    );
$$;

COMMENT ON FUNCTION contentq.choose_aged(integer, timestamptz, text[], bigint[], bigint[], boolean) IS
    'Internal: chooses and locks ready tasks that have waited for longer than settings.aging.';
