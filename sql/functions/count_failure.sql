-- Counts a failed attempt by its error class, for metrics.
-- Called by: record_failure() and revise().
-- Locks: a row of failure_counts; it skips rows that other sessions have locked, so it never waits. If no row of a class is
--        free, it adds one. Returns: nothing.
-- The index is read from its end, where the latest version of a row is, and the row is updated by its ctid: while a session
-- holds an old snapshot, all other versions are still there. BETWEEN: with =, the index would give no order.
-- Handlers name the classes. After 100 classes, new ones are counted as other.
CREATE OR REPLACE FUNCTION contentq.count_failure(error_class text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most_classes constant integer := 100;
    class text := coalesce(nullif(left(count_failure.error_class, 200), ''), 'unknown');
BEGIN
    LOOP
        UPDATE contentq.failure_counts AS f
        SET attempts = f.attempts + 1
        WHERE f.ctid = (
            SELECT c.ctid
            FROM contentq.failure_counts AS c
            WHERE c.error_class BETWEEN class AND class
            ORDER BY c.error_class DESC
            LIMIT 1
            FOR NO KEY UPDATE SKIP LOCKED
        );
        EXIT WHEN FOUND;
        IF class = 'other'
            OR EXISTS (SELECT FROM contentq.failure_counts AS c WHERE c.error_class = class)
            OR (SELECT count(DISTINCT c.error_class) FROM contentq.failure_counts AS c) < most_classes
        THEN
            INSERT INTO contentq.failure_counts (error_class, attempts) VALUES (class, 1);
            EXIT;
        END IF;
        class := 'other';
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.count_failure(text) IS
    'Internal: counts a failed attempt by its error class in failure_counts.';
