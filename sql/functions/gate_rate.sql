-- Computes the rate at which the running tasks of a gate started, which its provider has accepted.
-- Called by: judge_refusals(), at a gate whose pace was not the limit. Locks: nothing.
-- Returns: tasks per second: the tasks that began more than a second ago, over the age of the oldest; NULL for none. Tasks
--          that began in the last second may still be refused.
-- Slots that filled at once become free in waves, so the claims of the last seconds may be far fewer.
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
            -- A range, which only the index on worker_id serves; = would allow any index.
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
    'Internal: the rate at which the running tasks of a gate started, in tasks per second.';
