-- Lists the names of the latest submitted batches, for callers that show a few rows of the view batches.
-- Called by: people, contentq batches. Locks: nothing. Returns: their names, latest first.
-- One index lookup for each batch, so that a batch of 100,000 tasks costs as much as one of one task. The age of a batch is
-- that of its first task in that index.
CREATE OR REPLACE FUNCTION contentq.latest_batches(max_batches integer DEFAULT 20)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = on
SET jit = off
AS $$
    WITH RECURSIVE names AS (
        (SELECT t.batch, t.submitted_at
         FROM public.content_generation_tasks AS t
         WHERE t.batch IS NOT NULL
         ORDER BY t.batch, t.status, t.account_id
         LIMIT 1)
        UNION ALL
        SELECT l.batch, l.submitted_at
        FROM names AS n
        CROSS JOIN LATERAL (
            SELECT t.batch, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.batch > n.batch
            ORDER BY t.batch, t.status, t.account_id
            LIMIT 1
        ) AS l
    )
    SELECT n.batch::text
    FROM names AS n
    ORDER BY n.submitted_at DESC, n.batch
    LIMIT latest_batches.max_batches;
$$;

COMMENT ON FUNCTION contentq.latest_batches(integer) IS
    'The names of the latest submitted batches, latest first, for: SELECT * FROM contentq.batches WHERE batch = ANY '
    '(ARRAY(SELECT contentq.latest_batches())).';
