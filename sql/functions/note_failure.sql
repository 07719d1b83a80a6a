-- Counts quick failures of a worker, so that a worker whose tasks all fail slows down and leaves the tasks to others.
-- Called by: fail(), which has locked the row of the task, before the row changes.
-- Locks: rows of claimers; it skips rows that other sessions have locked and does not count then, so it never waits.
-- Returns: nothing.
-- Quick means less than a second after the attempt began, too short for an answer of a provider. A permanent failure is
-- about the task and does not count. If a task also fails on a second worker, the count of the first is cleared: the task
-- was the cause.
CREATE OR REPLACE FUNCTION contentq.note_failure(task public.content_generation_tasks, permanent boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    others constant bigint[] := ARRAY(
        SELECT DISTINCT (e.error->>'worker_id')::bigint
        FROM jsonb_array_elements(task.attempt_errors) AS e (error)
        WHERE jsonb_typeof(e.error->'worker_id') = 'number'
          AND e.error->>'worker_id' ~ '^[0-9]{1,18}$'
          AND e.error->>'worker_id' <> task.worker_id::text
    );
    is_quick constant boolean := task.started_at > clock_timestamp() - interval '1 second';
BEGIN
    IF note_failure.permanent THEN
        RETURN;
    ELSIF cardinality(others) > 0 OR NOT is_quick THEN
        PERFORM contentq.clear_failures(others || CASE WHEN is_quick THEN '{}' ELSE ARRAY[task.worker_id] END);
    ELSE
        UPDATE contentq.claimers AS c
        SET quick_failures = c.quick_failures + 1,
            failed_at = clock_timestamp()
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = task.worker_id
                             FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.note_failure(public.content_generation_tasks, boolean) IS
    'Internal: counts the quick failures of a worker, so that a worker whose tasks all fail slows down.';
