-- Limits a claim to the tasks that fit into 16 MB.
-- Called by: claim(), which has locked these tasks.
-- Locks: nothing. Returns: the first of these tasks, in claim order, whose texts total at most 16 MB as the client receives
--        them; always at least the first.
-- octet_length() knows the size of a text that is stored out of line without reading it. Results and errors are read; most
-- waiting tasks have neither.
CREATE OR REPLACE FUNCTION contentq.fit_claim(ids bigint[])
RETURNS bigint[]
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
    SELECT array_agg(f.id)
    FROM (
        SELECT s.id, s.size, sum(s.size) OVER (ORDER BY s.priority DESC, s.submitted_at, s.id) AS total
        FROM (
            SELECT t.id, t.priority, t.submitted_at,
                   octet_length(t.task_id)
                   + coalesce(octet_length(t.topic), 0)
                   + coalesce(octet_length(t.keywords), 0)
                   + coalesce(octet_length(t.category), 0)
                   + coalesce(octet_length(t.requirements), 0)
                   + coalesce(octet_length(t.tone), 0)
                   + coalesce(octet_length(t.error_message), 0)
                   + CASE WHEN t.attempt_errors <> '[]' THEN octet_length(t.attempt_errors::text) ELSE 2 END
                   + coalesce(octet_length(t.revision_note), 0)
                   + coalesce(octet_length(t.handler_state::text), 0)
                   + coalesce(octet_length(t.result::text), 0)
                   + CASE WHEN t.content_id IS NULL THEN 0
                          ELSE coalesce((SELECT octet_length(c.title) + octet_length(c.body)
                                         FROM public.contents AS c
                                         WHERE c.id = t.content_id), 0) END AS size
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (fit_claim.ids)
        ) AS s
    ) AS f
    WHERE f.total <= 16000000
       OR f.total = f.size;
$$;

COMMENT ON FUNCTION contentq.fit_claim(bigint[]) IS
    'Internal: the first of these tasks whose texts total at most 16 MB; at least one.';
