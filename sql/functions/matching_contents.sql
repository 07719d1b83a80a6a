-- Lists pending content of tasks that match selectors, oldest first.
-- Called by: approve_matching(), reject_matching(), and programs that show what these would change.
-- Locks: nothing. Returns: ids of contents, ascending: up to max_contents after after_id.
-- since, until: when the task was submitted. With any selector but account_id, only content with a known task
-- (generation_task_id). seen: only accounts among these; NULL for all that the caller's rights allow.
-- The statement has only the given conditions, and EXECUTE plans it for their values. It reads pending content in order, or
-- looks up the content of a batch or an account if there is little; it never reads a whole table.
CREATE OR REPLACE FUNCTION contentq.matching_contents(
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    after_id bigint DEFAULT 0,
    max_contents integer DEFAULT 1000,
    seen bigint[] DEFAULT NULL
)
RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY EXECUTE concat_ws(
        ' ',
        'SELECT c.id::bigint FROM public.contents AS c',
        CASE WHEN batch IS NOT NULL
             THEN 'JOIN public.content_generation_tasks AS t '
                  'ON t.id = c.generation_task_id AND t.account_id + 0 = c.account_id'
             WHEN num_nonnulls(category, nullif(since, '-infinity'), until) > 0
             THEN 'JOIN LATERAL (SELECT o.category, o.submitted_at FROM public.content_generation_tasks AS o '
                  'WHERE o.id = c.generation_task_id AND o.account_id + 0 = c.account_id LIMIT 1) AS t ON true' END,
        'WHERE c.review_status = ''pending'' AND c.id + 0 > $1',
        CASE WHEN account_id IS NOT NULL THEN 'AND c.account_id = $2' END,
        CASE WHEN category IS NOT NULL THEN 'AND t.category = $3' END,
        CASE WHEN batch IS NOT NULL THEN 'AND t.batch = $4' END,
        CASE WHEN since > '-infinity' THEN 'AND t.submitted_at >= $5' END,
        CASE WHEN until IS NOT NULL THEN 'AND t.submitted_at < $6' END,
        CASE WHEN seen IS NOT NULL THEN 'AND c.account_id + 0 = ANY ($7)' END,
        'ORDER BY c.id + 0 LIMIT $8'
    )
    USING coalesce(after_id, 0), account_id, category, batch, since, until, seen, greatest(coalesce(max_contents, 1000), 1);
END;
$$;

COMMENT ON FUNCTION contentq.matching_contents(
    bigint, text, text, timestamptz, timestamptz, bigint, integer, bigint[]
) IS
    'Pending content, by account, and by category, batch and submission time of its task: up to max_contents '
    'ids after after_id.';
