-- Adds the cost of attempts that do not complete to the usage of their accounts.
-- Called by: workers, for attempts that they hold, before fail() or snooze() in the same transaction, so that a repeated
--            report charges nothing twice.
-- usages: JSON objects as text (see add_usage()).
-- Locks: the tasks, in id order, until the report. Returns: nothing. It ignores attempts that the worker no longer holds,
--        and of an attempt that is named several times, all usages but the first.
CREATE OR REPLACE FUNCTION contentq.record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[])
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    held_ids bigint[];
    held_usages text[];
BEGIN
    IF NOT contentq.is_own_worker(record_usage.worker_id) THEN
        RETURN;
    END IF;
    SELECT array_agg(h.id), array_agg(h.usage)
    INTO held_ids, held_usages
    FROM (
        SELECT t.id, r.usage
        FROM (
            SELECT DISTINCT ON (n.id, n.attempt) n.id, n.attempt, n.usage
            FROM unnest(record_usage.ids, record_usage.attempts, record_usage.usages)
                WITH ORDINALITY AS n (id, attempt, usage, place)
            ORDER BY n.id, n.attempt, n.place
        ) AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, record_usage.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t
    ) AS h;
    IF held_ids IS NOT NULL THEN
        PERFORM contentq.note_answers(
            record_usage.worker_id, 0, NULL, contentq.add_usage(held_ids, held_usages), held_ids, held_usages
        );
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.record_usage(bigint, bigint[], integer[], text[]) IS
    'Adds the cost of attempts that this worker still holds to the usage of their accounts. usages: JSON objects as text '
    'with model, prompt_tokens, completion_tokens and cost. Call it before the report that ends the attempt, in the same '
    'transaction; complete() and store() do it automatically with the results. An attempt that is named several times in a '
    'call counts once.';
