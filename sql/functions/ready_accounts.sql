-- Lists accounts that have ready tasks of one priority, in id order, each with the first of these tasks.
-- Called by: choose_by_account(), fair_accounts(). Locks: nothing.
-- places: only these accounts, each from the place that choose_fair() returned; NULL for all.
-- Returns: accounts above after_account: up to `number` that are not blocked, and the blocked ones between them; at most
--          `most`. With places, all of them. It reads the index once for each account, however many tasks it has.
CREATE OR REPLACE FUNCTION contentq.ready_accounts(
    urgency integer,
    after_account bigint,
    number integer,
    blocked bigint[],
    most integer DEFAULT 5000,
    places jsonb DEFAULT NULL
)
RETURNS TABLE (account_id bigint, first_submitted_at timestamptz, first_id bigint, is_blocked boolean)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    IF ready_accounts.places IS NOT NULL THEN
        RETURN QUERY
        SELECT p.account_id, n.submitted_at, n.id, p.account_id IN (SELECT unnest(ready_accounts.blocked))
        FROM (
            SELECT e.key::bigint AS account_id, (e.value->>0)::timestamptz AS submitted_at, (e.value->>1)::bigint AS id
            FROM jsonb_each(ready_accounts.places) AS e
        ) AS p
        CROSS JOIN LATERAL (
            SELECT t.submitted_at, t.id::bigint AS id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - ready_accounts.urgency
              AND t.account_id = p.account_id
              AND (t.submitted_at, t.id) > (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
            LIMIT 1
        ) AS n
        WHERE p.account_id > ready_accounts.after_account
        ORDER BY p.account_id;
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE heads AS (
        SELECT NULL::timestamptz AS submitted_at,
               NULL::bigint AS id,
               ready_accounts.after_account AS account_id,
               NULL::boolean AS is_blocked,
               0 AS free,
               0 AS place
        UNION ALL
        SELECT n.submitted_at, n.id, n.account_id, i.is_blocked, h.free + (NOT i.is_blocked)::integer, h.place + 1
        FROM heads AS h
        CROSS JOIN LATERAL (
            SELECT t.submitted_at, t.id::bigint AS id, t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - ready_accounts.urgency
              AND t.account_id > h.account_id
            ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
            LIMIT 1
        ) AS n
        -- IN hashes the array, ANY does not: thousands of accounts may be blocked.
        CROSS JOIN LATERAL (SELECT n.account_id IN (SELECT unnest(ready_accounts.blocked)) AS is_blocked) AS i
        WHERE h.free < ready_accounts.number
          AND h.place < ready_accounts.most
    )
    SELECT h.account_id, h.submitted_at, h.id, h.is_blocked
    FROM heads AS h
    WHERE h.place > 0;
END;
$$;

COMMENT ON FUNCTION contentq.ready_accounts(integer, bigint, integer, bigint[], integer, jsonb) IS
    'Internal: accounts with ready tasks of a priority, each with the first of these tasks.';
