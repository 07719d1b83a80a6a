-- Names the batches that were submitted last, for whoever shows a few of the view batches.
-- Called by: people, contentq batches. Locks: nothing. Returns: their names, latest first.
-- One look into the index on batches for each there is, so that those of 100,000 tasks cost what those of one do. A batch is as
-- old as the task of it that comes first in that index.
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
    'The names of the batches that were submitted last, latest first, for: SELECT * FROM contentq.batches WHERE batch = ANY '
    '(ARRAY(SELECT contentq.latest_batches())).';
