-- Computes a random delay before a retry: exponential backoff with full jitter and a cap.
-- Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: random between 0 and min(cap, base * 2^n). The
--         jitter keeps tasks that failed together from being tried again together.
-- Called by: record_failure(). Locks: nothing. Returns: the delay.
CREATE OR REPLACE FUNCTION contentq.backoff(retry_count integer)
RETURNS interval
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT random() * least(s.backoff_max, s.backoff_base * power(2, least(backoff.retry_count, 30)))
    FROM contentq.settings AS s;
$$;

COMMENT ON FUNCTION contentq.backoff(integer) IS
    'A random delay before the retry after retry_count earlier ones: up to settings.backoff_base, doubled each '
    'time, at most settings.backoff_max.';
