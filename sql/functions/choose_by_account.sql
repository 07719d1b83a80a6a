-- Chooses and locks ready tasks of one priority in strict order, by looking up the first of every account.
-- Called by: choose_in_order(), when it has met a long run of tasks of accounts that are held.
-- held, taken: as there.
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, in order; NULL when more accounts have ready tasks than it looks at: then walking is no worse.
-- The first n tasks of all are among the first n of those n accounts whose first tasks are the oldest.
CREATE OR REPLACE FUNCTION contentq.choose_by_account(urgency integer, max_tasks integer, held bigint[], taken bigint[])
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
    number integer;
    oldest bigint[];
    free bigint[];
BEGIN
    SELECT count(*),
           (array_agg(a.account_id ORDER BY a.first_submitted_at, a.first_id)
                FILTER (WHERE NOT a.is_held))[:choose_by_account.max_tasks]
    INTO number, oldest
    FROM contentq.ready_accounts(choose_by_account.urgency, -9223372036854775808, 5000, choose_by_account.held) AS a;
    IF number >= 5000 THEN
        RETURN NULL;
    END IF;

    SELECT array_agg(s.id ORDER BY s.submitted_at, s.id)
    INTO free
    FROM unnest(oldest) AS o (account_id)
    CROSS JOIN LATERAL (
        SELECT t.id::bigint AS id, t.submitted_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND (10 - t.priority) = 10 - choose_by_account.urgency
          AND t.account_id = o.account_id
        ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
        LIMIT choose_by_account.max_tasks + cardinality(choose_by_account.taken)
    ) AS s
    WHERE s.id <> ALL (choose_by_account.taken);
    RETURN contentq.lock_in_order(free, choose_by_account.max_tasks);
END;
$$;

COMMENT ON FUNCTION contentq.choose_by_account(integer, integer, bigint[], bigint[]) IS
    'Internal: as choose_in_order(), by looking up the first tasks of every account that is not held.';
