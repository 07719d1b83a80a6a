-- Reads the next accounts between which a claim in fair order shares out slots, for one priority.
-- Called by: choose_fair(), explain_fair(). Locks: nothing.
-- after_account, below_account: only ids between these; below_account NULL for no upper bound. number: how many accounts
-- that are not blocked. blocked: blocked accounts. taken: tasks that the same claim chose earlier; they count as running.
-- places: as in ready_accounts().
-- Returns: looked_at: how many accounts it read; free: how many of these are not blocked; last_account: the last id. For
--          accounts that are neither blocked nor out of range, in id order: the id, the share, the number of running tasks
--          (counted from the rows) and how many more may start (NULL: any number).
CREATE OR REPLACE FUNCTION contentq.fair_accounts(
    urgency integer,
    after_account bigint,
    below_account bigint,
    number integer,
    blocked bigint[],
    taken bigint[],
    places jsonb DEFAULT NULL,
    OUT looked_at integer,
    OUT free integer,
    OUT last_account bigint,
    OUT account_ids bigint[],
    OUT shares integer[],
    OUT running integer[],
    OUT running_since timestamptz[],
    OUT rooms integer[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    taken_accounts constant bigint[] := ARRAY(
        SELECT o.account_id
        FROM unnest(fair_accounts.taken) AS u (id)
        CROSS JOIN LATERAL (
            SELECT t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.id = u.id
            LIMIT 1
        ) AS o
    );
BEGIN
    SELECT count(*)::integer,
           (count(*) FILTER (WHERE NOT r.is_blocked))::integer,
           max(r.account_id),
           coalesce(array_agg(r.account_id ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.share ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.running ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.since ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.max_running - a.running ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}')
    INTO looked_at, free, last_account, account_ids, shares, running, running_since, rooms
    FROM contentq.ready_accounts(
        fair_accounts.urgency, fair_accounts.after_account, fair_accounts.number, fair_accounts.blocked,
        places => fair_accounts.places) AS r
    LEFT JOIN LATERAL (
        SELECT o.share, o.max_running, s.since,
               s.number + cardinality(array_positions(taken_accounts, o.id::bigint)) AS running
        FROM public.accounts AS o
        CROSS JOIN LATERAL (
            SELECT count(*)::integer AS number, min(p.started_at) AS since
            FROM (
                SELECT t.started_at
                FROM public.content_generation_tasks AS t
                WHERE t.status COLLATE "C" = 'processing'
                  AND t.account_id = o.id
                  AND t.started_at >= coalesce((fair_accounts.places->r.account_id::text->>2)::timestamptz, '-infinity')
                -- Only one index has this order.
                ORDER BY t.account_id, t.started_at
                OFFSET 0
            ) AS p
        ) AS s
        WHERE o.id = r.account_id
        -- LIMIT: no plan starts from the accounts, and running tasks are counted once though used twice.
        LIMIT 1
    ) AS a ON NOT r.is_blocked AND coalesce(r.account_id < fair_accounts.below_account, true);
END;
$$;

COMMENT ON FUNCTION contentq.fair_accounts(integer, bigint, bigint, integer, bigint[], bigint[], jsonb) IS
    'Internal: the next accounts between which a claim in fair order shares out slots, for one priority.';
