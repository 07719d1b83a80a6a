-- Computes how long a worker whose tasks all fail must wait before it tries again.
-- Called by: worker_room(), worker_wait(). Locks: nothing.
-- Returns: the time from now, 0 if it may try one task; NULL if fewer than five quick failures came in a row.
-- From the fifth quick failure in a row on (see note_failure()), it waits half a second, doubled at each further one, at
-- most 30 seconds.
CREATE OR REPLACE FUNCTION contentq.failing_wait(worker_id bigint)
RETURNS interval
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT greatest(
            c.failed_at + least(interval '0.5 seconds' * power(2, least(c.quick_failures - 5, 10)), interval '30 seconds')
            - clock_timestamp(),
            interval '0'
        )
        FROM contentq.claimers AS c
        WHERE c.worker_id = failing_wait.worker_id
          AND c.quick_failures >= 5
    );
END;
$$;

COMMENT ON FUNCTION contentq.failing_wait(bigint) IS
    'Internal: how long a worker whose tasks all fail waits before it tries again; NULL if it does not wait.';
