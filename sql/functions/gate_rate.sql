-- The rate at which a gate's running tasks have begun, which its provider has taken.
-- Called by: judge_refusals(), at a gate whose pace did not limit. Locks: nothing.
-- Returns: tasks a second, of those that began more than a second ago, over the age of the oldest; NULL when there are none.
--          What began in the last second may still be refused.
-- Slots that were all taken at once come free in waves: what was claimed in the last seconds may be far less.
CREATE OR REPLACE FUNCTION contentq.gate_rate(key text, now_ timestamptz)
RETURNS float8
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    SELECT (sum(a.running) / extract(epoch FROM gate_rate.now_ - min(a.oldest)))::float8
    FROM (
        SELECT r.running, r.oldest
        FROM contentq.workers AS w
        CROSS JOIN LATERAL (
            -- A range, which only the index on the holders of tasks serves; = would make any index do.
            SELECT count(*) AS running, min(t.started_at) AS oldest
            FROM public.content_generation_tasks AS t
            WHERE t.worker_id BETWEEN w.id AND w.id
              AND t.status = 'processing'
              AND t.started_at < gate_rate.now_ - interval '1 second'
        ) AS r
        WHERE w.gate = gate_rate.key
        UNION ALL
        SELECT count(*), min(t.gate_entered_at)
        FROM public.content_generation_tasks AS t
        WHERE t.gate = gate_rate.key
          AND t.status || '' = 'processing'
          AND t.gate_entered_at < gate_rate.now_ - interval '1 second'
    ) AS a;
$$;

COMMENT ON FUNCTION contentq.gate_rate(text, timestamptz) IS
    'Internal: the rate at which a gate''s running tasks have begun.';
