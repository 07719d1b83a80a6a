-- Counts an attempt that failed, by the class of its error, for metrics.
-- Called by: record_failure() and revise().
-- Locks: a row of failure_counts, skipping those that others hold (so it never waits: where no row of a class is free, it
--        adds one). Returns: nothing.
-- The index is read from its end, where the latest version of a row is, and the row is updated by its place: beside an old
-- snapshot all other versions are still there. BETWEEN: with one value there would be no order.
-- Handlers name the classes. When there are 100, those that come later are counted as other.
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
    'Internal: counts an attempt that failed, by the class of its error, in failure_counts.';
