-- Records the progress of tasks that a worker runs.
-- Called by: workers, at most once a second for all tasks that have changed.
-- Locks: the tasks, in id order; it skips tasks that other sessions have locked, so it never waits: progress may be missed.
-- Returns: nothing. A fraction is from 0 to 1; NULL, or not a number, leaves the value unchanged. It ignores attempts that
--          the worker no longer holds. No index has these columns, so the update is heap-only if the page has room for it.
CREATE OR REPLACE FUNCTION contentq.report_progress(
    worker_id bigint,
    ids bigint[],
    attempts integer[],
    fractions real[],
    notes text[] DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(report_progress.worker_id) THEN
        RETURN;
    END IF;
    WITH reported AS MATERIALIZED (
        SELECT t.id, r.fraction, r.note
        FROM unnest(report_progress.ids, report_progress.attempts, report_progress.fractions, report_progress.notes)
            AS r (id, attempt, fraction, note)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, report_progress.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE public.content_generation_tasks AS t
    SET progress = CASE WHEN r.fraction < 'NaN' THEN least(greatest(r.fraction, 0), 1) ELSE t.progress END,
        progress_note = coalesce(contentq.shorten(r.note, 500), t.progress_note),
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id]);
END;
$$;

COMMENT ON FUNCTION contentq.report_progress(bigint, bigint[], integer[], real[], text[]) IS
    'Records the progress of tasks that this worker runs: fractions from 0 to 1 and notes, which running_tasks shows. It '
    'skips rows that other sessions have locked.';
