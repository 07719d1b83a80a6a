-- Lists the accounts that are paused or at their cap.
-- Called by: choose_ready(), explain(). Locks: nothing. Returns: their ids; usually none.
-- Budgets are checked when a task is about to start (see admit()), because spending is a sum.
-- Caps are counted from running tasks, of which there are few; accounts with a cap that run nothing are not read.
CREATE OR REPLACE FUNCTION contentq.left_out_accounts()
RETURNS bigint[]
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    blocked bigint[] := ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.paused_until > now_);
BEGIN
    IF (SELECT a.max_running FROM public.accounts AS a WHERE a.max_running IS NOT NULL ORDER BY a.max_running LIMIT 1)
       IS NOT NULL
    THEN
        blocked := blocked || ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.max_running = 0) || ARRAY(
            SELECT a.id
            FROM (
                SELECT o.account_id, count(*) AS running
                FROM (
                    SELECT t.account_id
                    FROM public.content_generation_tasks AS t
                    WHERE t.status COLLATE "C" = 'processing'
                    -- Only one index has this order.
                    ORDER BY t.account_id, t.started_at
                    OFFSET 0
                ) AS o
                GROUP BY o.account_id
            ) AS r
            -- LIMIT: no plan counts again for each account.
            CROSS JOIN LATERAL (
                SELECT l.id, l.max_running FROM public.accounts AS l WHERE l.id = r.account_id LIMIT 1
            ) AS a
            WHERE a.max_running <= r.running
        );
    END IF;
    RETURN blocked;
END;
$$;

COMMENT ON FUNCTION contentq.left_out_accounts() IS
    'Internal: the accounts that are paused or at max_running.';
