-- Explains when the account of a task gets the next slot in fair order.
-- Called by: explain_order(). blocked: as in choose_in_order(). own_ahead: tasks of the same account ahead of it.
-- slots, busy: those of all workers that claim its category.
-- Locks: nothing. Returns: is_first: whether the next claim of this worker gives the account a slot before any other
--                          account of the same priority; line: an explanation of the shares if the task is not next.
-- It considers the accounts that a claim of this worker for one task would consider first.
CREATE OR REPLACE FUNCTION contentq.explain_fair(
    task public.content_generation_tasks,
    worker contentq.workers,
    blocked bigint[],
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
    lowest constant bigint := -9223372036854775808;
    by_deadline constant boolean := (SELECT s.deadlines FROM contentq.settings AS s);
    own_id constant bigint := (task).account_id;
    turn bigint[];
    looked_at record;
    account_ids bigint[];
    shares integer[];
    running integer[];
    rooms integer[];
    started integer[];
    place integer;
    own record;
    share_now integer;
BEGIN
    SELECT ARRAY[(c.memory->'turns'->(task).priority::text->>0)::bigint, (c.memory->'turns'->(task).priority::text->>1)::bigint]
    INTO turn
    FROM contentq.claimers AS c
    WHERE c.worker_id = (worker).id;
    SELECT f.*
    INTO looked_at
    FROM contentq.fair_accounts(
        (task).priority, coalesce(turn[1] - 1, lowest), NULL, 64, explain_fair.blocked, '{}') AS f;
    account_ids := looked_at.account_ids;
    shares := looked_at.shares;
    running := looked_at.running;
    rooms := looked_at.rooms;
    IF turn[1] IS NOT NULL AND cardinality(account_ids) < 64 THEN
        SELECT f.*
        INTO looked_at
        FROM contentq.fair_accounts(
            (task).priority, lowest, turn[1], 64 - cardinality(account_ids), explain_fair.blocked, '{}') AS f;
        account_ids := account_ids || looked_at.account_ids;
        shares := shares || looked_at.shares;
        running := running || looked_at.running;
        rooms := rooms || looked_at.rooms;
    END IF;
    started := array_fill(0, ARRAY[cardinality(account_ids)]);
    IF account_ids[1] = turn[1] THEN
        started[1] := turn[2];
    END IF;

    -- Skip accounts that have no task for this worker or no budget left.
    FOR round IN 1..10 LOOP
        EXIT WHEN cardinality(account_ids) = 0;
        place := (contentq.fair_quotas(1, shares, running, rooms, started)).last_place;
        EXIT WHEN account_ids[place] = own_id;
        EXIT WHEN cardinality(contentq.over_budget(ARRAY[account_ids[place]])) = 0
            AND coalesce((SELECT contentq.account_room(a) FROM public.accounts AS a WHERE a.id = account_ids[place]) > 0, true)
            AND EXISTS (
                SELECT
                FROM (
                    SELECT t.category, t.timeout_at, t.attempt
                    FROM public.content_generation_tasks AS t
                    WHERE t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - (task).priority
                      AND t.account_id = account_ids[place]
                    ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                    LIMIT 1000
                ) AS w
                WHERE contentq.is_ready('pending', NULL, w.timeout_at, w.attempt)
                  AND contentq.is_of(w.category, (worker).categories)
                  AND NOT (by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
            );
        account_ids := account_ids[:place - 1] || account_ids[place + 1:];
        shares := shares[:place - 1] || shares[place + 1:];
        running := running[:place - 1] || running[place + 1:];
        rooms := rooms[:place - 1] || rooms[place + 1:];
        started := started[:place - 1] || started[place + 1:];
        place := NULL;
    END LOOP;
    is_first := coalesce(account_ids[place] = own_id, false) AND explain_fair.own_ahead = 0;
    IF is_first THEN
        RETURN;
    END IF;

    SELECT a.share,
           (SELECT count(*)
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.account_id = a.id) AS running
    INTO own
    FROM public.accounts AS a
    WHERE a.id = own_id;
    -- The share of the account if all slots of these accounts were shared out again.
    SELECT f.* INTO looked_at FROM contentq.fair_accounts((task).priority, lowest, NULL, 500, explain_fair.blocked, '{}') AS f;
    IF own_id = ANY (looked_at.account_ids) THEN
        SELECT (contentq.fair_quotas(
                   least(greatest(explain_fair.slots - explain_fair.busy + sum(u.running), 0), 10000)::integer,
                   array_agg(u.share ORDER BY u.place), array_agg(0 ORDER BY u.place),
                   array_agg(u.room + u.running ORDER BY u.place), array_agg(0 ORDER BY u.place))
               ).quotas[array_position(looked_at.account_ids, own_id)]
        INTO share_now
        FROM unnest(looked_at.shares, looked_at.running, looked_at.rooms) WITH ORDINALITY AS u (share, running, room, place);
    END IF;
    line := format('account %s has %s running', own_id, own.running)
        || CASE WHEN explain_fair.slots = 0 OR share_now IS NULL THEN ''
                ELSE format('; its share now is %s of %s slots (accounts with ready tasks: %s%s, share of this account: %s)',
                            share_now, explain_fair.slots, cardinality(looked_at.account_ids),
                            CASE WHEN cardinality(looked_at.account_ids) = 500 THEN ' or more' ELSE '' END, own.share) END
        || CASE explain_fair.own_ahead WHEN 0 THEN '' WHEN 1 THEN '; 1 of its own tasks is ahead'
                ELSE format('; %s of its own tasks are ahead', explain_fair.own_ahead) END
        || CASE WHEN account_ids[place] <> own_id
                THEN format('; account %s, with %s running, gets the next slot', account_ids[place], running[place])
                ELSE '' END
        || format('; for a larger share: contentq accounts set %s --share %s', own_id, own.share + 1);
END;
$$;

COMMENT ON FUNCTION contentq.explain_fair(
    public.content_generation_tasks, contentq.workers, bigint[], bigint, bigint, bigint) IS
    'Internal: whether a task is next in fair order, and a line about the shares of accounts.';
