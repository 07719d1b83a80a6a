-- Computes percentiles of how long recently completed tasks waited after becoming ready, and how long they ran.
-- Called by: people, contentq stats --since. Locks: nothing.
-- Returns: one row for all tasks, or one for each account (its id), category or priority, depending on by; most tasks
--          first. Times are in seconds. It counts the last 10,000 tasks at most; since is the time of the earliest one.
-- Raises: 22023 for any other value of by.
-- A schedule, a snooze or the delay of a retry does not count as waiting: a task waits from ready_at, or its submission, to
-- the start of its latest attempt.
CREATE OR REPLACE FUNCTION contentq.latency(period interval DEFAULT '1 hour', by text DEFAULT NULL)
RETURNS TABLE (
    key text,
    tasks bigint,
    wait_p50 numeric,
    wait_p95 numeric,
    wait_p99 numeric,
    run_p50 numeric,
    run_p95 numeric,
    run_p99 numeric,
    since timestamptz
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
BEGIN
    IF latency.by NOT IN ('account', 'category', 'priority') THEN
        RAISE EXCEPTION 'latency cannot be grouped by %: use account, category or priority', latency.by
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    SELECT p.key, p.tasks,
           round(p.waits[1]::numeric, 3), round(p.waits[2]::numeric, 3), round(p.waits[3]::numeric, 3),
           round(p.runs[1]::numeric, 3), round(p.runs[2]::numeric, 3), round(p.runs[3]::numeric, 3),
           p.since
    FROM (
        SELECT CASE latency.by WHEN 'account' THEN e.account_id::text
                               WHEN 'category' THEN e.category
                               WHEN 'priority' THEN e.priority::text END AS key,
               count(*) AS tasks,
               percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY e.wait_s) AS waits,
               percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY e.run_s) AS runs,
               min(e.completed_at) AS since
        FROM (
            SELECT t.account_id, t.category, t.priority, t.completed_at,
                   -- Seconds, not an interval: the difference of two arbitrary times may not fit into an interval.
                   greatest(extract(epoch FROM t.started_at)
                            - extract(epoch FROM coalesce(t.ready_at, t.submitted_at)), 0)::float8 AS wait_s,
                   greatest(extract(epoch FROM t.completed_at) - extract(epoch FROM t.started_at), 0)::float8 AS run_s
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'completed'
              AND t.started_at IS NOT NULL
              AND t.completed_at > now_ - latency.period
              AND t.completed_at <= now_
            ORDER BY t.completed_at DESC
            LIMIT 10000
        ) AS e
        GROUP BY 1
    ) AS p
    ORDER BY p.tasks DESC, p.key;
END;
$$;

COMMENT ON FUNCTION contentq.latency(interval, text) IS
    'Percentiles (p50, p95, p99), in seconds, of how long tasks completed in this period waited after becoming ready, and '
    'of how long they ran. It counts the last 10,000 at most; for all, or by ''account'', ''category'' or ''priority''.';
