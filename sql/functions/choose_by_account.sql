-- Chooses and locks ready tasks of one priority in strict order by looking up the first tasks of every account.
-- Called by: choose_in_order(), after it met a long run of tasks of blocked accounts.
-- blocked, taken: as in choose_in_order(). most: the maximum number of accounts to read.
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, in order; NULL if at least `most` accounts have ready tasks.
-- The first n tasks belong to the n accounts whose first tasks are the oldest. It reads a few tasks of each of them, and
-- doubles that number for accounts of which every task read is among the first n: about n log n rows, not n times n.
CREATE OR REPLACE FUNCTION contentq.choose_by_account(
    urgency integer,
    max_tasks integer,
    blocked bigint[],
    taken bigint[],
    most integer
)
RETURNS bigint[]
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
    needed constant integer := choose_by_account.max_tasks + cardinality(choose_by_account.taken);
    number integer;
    -- Accounts of which more tasks must be read.
    deep bigint[];
    depth integer;
    account_ids bigint[];
    times timestamptz[];
    ids bigint[];
    latest record;
BEGIN
    SELECT count(*),
           (array_agg(a.account_id ORDER BY a.first_submitted_at, a.first_id) FILTER (WHERE NOT a.is_blocked))[:needed]
    INTO number, deep
    FROM contentq.ready_accounts(
        choose_by_account.urgency, -9223372036854775808, choose_by_account.most, choose_by_account.blocked,
        choose_by_account.most) AS a;
    IF number >= choose_by_account.most THEN
        RETURN NULL;
    END IF;

    depth := least(2 * needed / greatest(cardinality(deep), 1) + 1, needed);
    WHILE cardinality(deep) > 0 LOOP
        SELECT array_agg(s.account_id), array_agg(s.submitted_at), array_agg(s.id)
        INTO account_ids, times, ids
        FROM (
            SELECT f.*
            FROM unnest(account_ids, times, ids) AS f (account_id, submitted_at, id)
            WHERE f.account_id NOT IN (SELECT unnest(deep))
            UNION ALL
            SELECT o.account_id, n.submitted_at, n.id
            FROM unnest(deep) AS o (account_id)
            CROSS JOIN LATERAL (
                SELECT t.submitted_at, t.id::bigint AS id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND (10 - t.priority) = 10 - choose_by_account.urgency
                  AND t.account_id = o.account_id
                ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                LIMIT depth
            ) AS n
        ) AS s;
        EXIT WHEN depth >= needed;
        SELECT f.submitted_at, f.id
        INTO latest
        FROM unnest(times, ids) AS f (submitted_at, id)
        ORDER BY f.submitted_at, f.id
        LIMIT 1
        OFFSET needed - 1;
        deep := ARRAY(
            SELECT f.account_id
            FROM unnest(account_ids, times, ids) AS f (account_id, submitted_at, id)
            WHERE f.account_id IN (SELECT unnest(deep))
            GROUP BY f.account_id
            HAVING count(*) = depth
               AND coalesce(bool_and((f.submitted_at, f.id) < (latest.submitted_at, latest.id)), true)
        );
        depth := least(2 * depth, needed);
    END LOOP;
    RETURN contentq.lock_in_order(ARRAY(
        SELECT f.id
        FROM unnest(times, ids) AS f (submitted_at, id)
        WHERE f.id NOT IN (SELECT unnest(choose_by_account.taken))
        ORDER BY f.submitted_at, f.id
    ), choose_by_account.max_tasks);
END;
$$;

COMMENT ON FUNCTION contentq.choose_by_account(integer, integer, bigint[], bigint[], integer) IS
    'Internal: as choose_in_order(), by looking up the first tasks of every account that is not blocked.';
