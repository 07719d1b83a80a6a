-- Lists the accounts between which a claim in fair order shares out what may run, of one priority.
-- Called by: choose_fair(), explain_fair(). Locks: nothing.
-- number: so many at most, those after the account after_account first, and then from the beginning.
-- Returns: accounts that are not held and have ready tasks of this priority, with what runs of them, counted from the rows.
CREATE OR REPLACE FUNCTION contentq.fair_accounts(
    urgency integer,
    number integer,
    held bigint[],
    after_account bigint DEFAULT NULL
)
RETURNS TABLE (
    account_id bigint, share integer, running integer, max_running integer, first_submitted_at timestamptz, place bigint
)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_incremental_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    SELECT w.account_id, a.share,
           (SELECT count(*)::integer
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.account_id = a.id),
           a.max_running, w.first_submitted_at, w.place
    FROM (
        -- A window that ends before it is full goes on from the first account.
        SELECT e.*, row_number() OVER () AS place
        FROM (
            SELECT r.*
            FROM contentq.ready_accounts(
                fair_accounts.urgency, coalesce(fair_accounts.after_account, -9223372036854775808),
                fair_accounts.number, fair_accounts.held) AS r
            UNION ALL
            SELECT r.*
            FROM contentq.ready_accounts(
                fair_accounts.urgency, CASE WHEN fair_accounts.after_account IS NOT NULL THEN -9223372036854775808 END,
                fair_accounts.number, fair_accounts.held) AS r
            WHERE r.account_id <= fair_accounts.after_account
        ) AS e
        WHERE NOT e.is_held
        LIMIT fair_accounts.number
    ) AS w
    JOIN public.accounts AS a ON a.id = ANY (ARRAY[w.account_id]);
$$;

COMMENT ON FUNCTION contentq.fair_accounts(integer, integer, bigint[], bigint) IS
    'Internal: the accounts between which a claim in fair order shares out what may run, of one priority.';
