-- Tells when a task's account gets the next slot in fair order.
-- Called by: explain_order(). held: as in choose_in_order(). own_ahead: tasks of its account that come before it.
-- slots, busy: of all workers that claim its category.
-- Locks: nothing. Returns: whether the next claim of this worker gives its account a slot before any other of its priority;
--                          and a line about shares for a task that is not the next.
-- The window of accounts is the one that a claim of this worker for one task looks at.
CREATE OR REPLACE FUNCTION contentq.explain_fair(
    task public.content_generation_tasks,
    worker contentq.workers,
    held bigint[],
    own_ahead bigint,
    slots bigint,
    busy bigint,
    OUT is_first boolean,
    OUT line text
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    by_deadline constant boolean := (SELECT s.deadlines FROM contentq.settings AS s);
    after_account constant bigint := (
        SELECT (c.memory->>'after_account')::bigint FROM contentq.claimers AS c WHERE c.worker_id = (worker).id
    );
    own_id constant bigint := (task).account_id;
    own record;
    first record;
    passed bigint[] := '{}';
    others bigint;
    share_now integer;
BEGIN
    -- Accounts that have nothing for this worker, or no budget left, are passed over.
    FOR round IN 1..10 LOOP
        SELECT w.account_ids[p.place] AS account_id, w.running[p.place] AS running
        INTO first
        FROM (
            SELECT array_agg(f.account_id ORDER BY f.place) AS account_ids,
                   array_agg(f.running ORDER BY f.place) AS running,
                   contentq.fair_quotas(
                       1, array_agg(f.share ORDER BY f.place), array_agg(f.running ORDER BY f.place),
                       array_agg(f.max_running - f.running ORDER BY f.place),
                       array_agg(f.first_submitted_at ORDER BY f.place)) AS quotas
            FROM contentq.fair_accounts((task).priority, 64, explain_fair.held, after_account) AS f
            WHERE f.account_id <> ALL (passed)
        ) AS w
        CROSS JOIN LATERAL (SELECT array_position(w.quotas, 1) AS place) AS p;
        EXIT WHEN first.account_id IS NULL OR first.account_id = own_id;
        EXIT WHEN coalesce((SELECT contentq.account_room(a) FROM public.accounts AS a WHERE a.id = first.account_id) > 0, true)
            AND EXISTS (
                SELECT
                FROM (
                    SELECT t.category, t.timeout_at, t.attempt
                    FROM public.content_generation_tasks AS t
                    WHERE t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - (task).priority
                      AND t.account_id = first.account_id
                    ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                    LIMIT 1000
                ) AS w
                WHERE w.attempt < 2147483647
                  AND ((worker).categories IS NULL OR w.category = ANY ((worker).categories))
                  AND (w.timeout_at IS NULL
                       OR w.timeout_at > clock_timestamp() + CASE WHEN by_deadline THEN contentq.median_duration(w.category)
                                                                  ELSE interval '0' END)
            );
        passed := passed || first.account_id;
        first := NULL;
    END LOOP;
    is_first := coalesce(first.account_id = own_id, false) AND explain_fair.own_ahead = 0;

    SELECT a.share, a.max_running, count(t.id) AS running
    INTO own
    FROM public.accounts AS a
    LEFT JOIN public.content_generation_tasks AS t ON t.account_id = a.id AND t.status = 'processing'
    WHERE a.id = own_id
    GROUP BY a.id;
    -- What its slots would be if all those that these accounts have were shared out anew.
    SELECT count(*),
           (contentq.fair_quotas(
               least(greatest(explain_fair.slots - explain_fair.busy + sum(f.running), 0), 10000)::integer,
               array_agg(f.share ORDER BY f.place), array_agg(0 ORDER BY f.place), array_agg(f.max_running ORDER BY f.place),
               array_agg(f.first_submitted_at ORDER BY f.place))
           )[min(f.place) FILTER (WHERE f.account_id = own_id)]
    INTO others, share_now
    FROM contentq.fair_accounts((task).priority, 500, explain_fair.held) AS f;
    line := format('account %s runs %s', own_id, own.running)
        || CASE WHEN explain_fair.slots = 0 OR share_now IS NULL THEN ''
                ELSE format(' and its share now is %s of %s slots (accounts with ready tasks: %s, share of this one: %s)',
                            share_now, explain_fair.slots, others, own.share) END
        || CASE explain_fair.own_ahead WHEN 0 THEN '' WHEN 1 THEN '; 1 of its own tasks is ahead'
                ELSE format('; %s of its own tasks are ahead', explain_fair.own_ahead) END
        || CASE WHEN first.account_id <> own_id
                THEN format('; account %s, which runs %s, has the next slot', first.account_id, first.running)
                ELSE '' END
        || format('; for a larger share: contentq accounts set %s --share %s', own_id, own.share + 1);
END;
$$;

COMMENT ON FUNCTION contentq.explain_fair(
    public.content_generation_tasks, contentq.workers, bigint[], bigint, bigint, bigint) IS
    'Internal: whether a task is the next in fair order, and a line about the shares of the accounts.';
