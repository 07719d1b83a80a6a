-- Makes failed and timed-out tasks pending again with all their retries and revisions, and tasks with rejected content for
-- a revision.
-- Called by: requeue(), requeue_matching(). Locks: the rows of the tasks. Returns: the ids of the requeued tasks.
-- note: as in requeue(). The scalar subquery runs once for each task; EXISTS might read all contents at once.
CREATE OR REPLACE FUNCTION contentq.requeue_tasks(ids bigint[], note text)
RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    error constant text := contentq.shorten(requeue_tasks.note, 8000);
    requeued bigint[];
BEGIN
    WITH changed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'pending',
            retry_count = 0,
            revision_count = 0,
            scheduled_at = NULL,
            ready_at = clock_timestamp(),
            completed_at = NULL,
            timeout_at = CASE WHEN t.timeout_at > clock_timestamp() THEN t.timeout_at END,
            cancel_requested_at = NULL,
            error_message = coalesce(error, t.error_message),
            revision_note = coalesce(error, t.revision_note),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (requeue_tasks.ids)
          AND (t.status IN ('failed', 'timeout')
               OR t.status = 'completed'
                  AND (SELECT c.review_status
                       FROM public.contents AS c
                       WHERE c.id = t.content_id
                         AND c.account_id + 0 = t.account_id) = 'rejected')
        RETURNING t.id
    )
    SELECT coalesce(array_agg(c.id), '{}')
    INTO requeued
    FROM changed AS c;
    RETURN requeued;
END;
$$;

COMMENT ON FUNCTION contentq.requeue_tasks(bigint[], text) IS
    'Internal: makes failed tasks, timed-out tasks and tasks with rejected content pending again; returns their ids.';
