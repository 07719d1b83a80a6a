-- Chooses and locks ready tasks that have waited longer than settings.aging, whatever their priority.
-- Called by: choose_by_priority().
-- submitted_before: only tasks submitted before this time. by_deadline: leave out tasks that cannot finish by their
-- deadline. categories, blocked, taken, blocked_keys: as in choose_in_order().
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, the longest waiting first.
-- It reads a few aged tasks of each priority (with categories: of each category in each priority). If few of them may
-- start, it reads the first 1000.
CREATE OR REPLACE FUNCTION contentq.choose_aged(
    max_tasks integer,
    submitted_before timestamptz,
    categories text[],
    blocked bigint[],
    taken bigint[],
    by_deadline boolean,
    blocked_keys text[]
)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    chosen bigint[] := '{}'::bigint[];
    size integer := least(1000, greatest(50, 2 * choose_aged.max_tasks));
    seen record;
BEGIN
    WHILE cardinality(chosen) < choose_aged.max_tasks LOOP
        SELECT count(*) AS read,
               array_agg(a.id ORDER BY a.submitted_at, a.id) FILTER (
                   WHERE a.may_start
                     AND a.id <> ALL (choose_aged.taken || chosen)
               ) AS free
        INTO seen
        FROM contentq.aged_tasks(
            choose_aged.submitted_before, choose_aged.categories, choose_aged.blocked, choose_aged.by_deadline, size,
            choose_aged.blocked_keys) AS a;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_aged.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size OR size = 1000;
        size := 1000;
    END LOOP;
    RETURN chosen;
END;
$$;

COMMENT ON FUNCTION contentq.choose_aged(integer, timestamptz, text[], bigint[], bigint[], boolean, text[]) IS
    'Internal: chooses and locks ready tasks that have waited longer than settings.aging; returns their ids.';
