-- Chooses and locks ready tasks of one priority so that running tasks are shared out between accounts.
-- Called by: choose_by_priority(), if claim_order is fair.
-- turn: what the previous call of this worker for this priority returned; NULL for the first. categories, blocked, taken,
-- by_deadline, blocked_keys: as in choose_in_order().
-- places, since: what an earlier call of the same worker returned, and a time before which that saw every task; NULL for
-- none. Only without categories, deadlines and blocked_keys.
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids; the next turn: the id of an account and how many tasks it has started in this turn; and the places to
-- remember, NULL for none: for each account with ready tasks the submitted_at and the id of the last task that was passed,
-- and when the first of its running tasks started.
--
-- Running tasks are counted from the rows, so no counter can drift. A call considers 64 accounts, or as many as it has
-- slots to fill, starting with the account whose turn it is. Slots that these accounts do not use go to the following
-- accounts and to those with more ready tasks; after about 1000 accounts they go to the first ones that can use them. With
-- categories or deadlines, it considers one window of accounts and the first 1000 tasks of each.
--
-- For the places, see choose_first(). While they count, a call reads only their accounts, each from its place, unless they
-- have too few tasks, or another account has submitted tasks. They are not remembered for more than 256 accounts, because a
-- call reads only some of these anyway.
CREATE OR REPLACE FUNCTION contentq.choose_fair(
    urgency integer,
    max_tasks integer,
    categories text[],
    blocked bigint[],
    taken bigint[],
    by_deadline boolean,
    blocked_keys text[],
    INOUT turn bigint[],
    INOUT places jsonb DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    OUT chosen bigint[]
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
    lowest constant bigint := -9223372036854775808;
    window_size constant integer := greatest(64, choose_fair.max_tasks);
    is_plain constant boolean := choose_fair.categories IS NULL AND NOT choose_fair.by_deadline
                                  AND cardinality(choose_fair.blocked_keys) = 0;
    began constant timestamptz := clock_timestamp();
    -- Tasks that were submitted, and claims that were made, since then may not be committed yet.
    latest constant timestamptz := began - interval '1 second';
    settled constant timestamptz := began - interval '0.1 seconds';
    first_account bigint := turn[1];
    position bigint := coalesce(first_account - 1, lowest);
    is_around boolean := first_account IS NULL;
    has_more boolean := true;
    looked_at integer := 0;
    added integer;
    next_accounts record;
    read_accounts bigint[] := '{}'::bigint[];
    running_since timestamptz[] := '{}'::timestamptz[];
    account_ids bigint[] := '{}'::bigint[];
    shares integer[] := '{}'::integer[];
    running integer[] := '{}'::integer[];
    rooms integer[] := '{}'::integer[];
    started integer[] := '{}'::integer[];
    quotas integer[];
    last_place integer;
    got integer[];
    each record;
BEGIN
    chosen := '{}';
    IF places IS NOT NULL AND (NOT is_plain OR EXISTS (
        SELECT
        FROM (
            SELECT t.account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = choose_fair.urgency
              AND (t.submitted_at, t.id) > (choose_fair.since, lowest)
            -- The newest first: the latest submission is seen, however many others there were.
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
            LIMIT 1000
        ) AS n
        WHERE NOT places ? n.account_id::text
          AND n.account_id NOT IN (SELECT unnest(choose_fair.blocked))
    )) THEN
        places := NULL;
    END IF;
    IF places = '{}' THEN
        RETURN;
    END IF;
    LOOP
        -- The next accounts above the position; after the highest id, start again from the lowest.
        added := 0;
        WHILE has_more AND added < window_size LOOP
            SELECT f.*
            INTO next_accounts
            FROM contentq.fair_accounts(
                choose_fair.urgency, position, CASE WHEN is_around THEN first_account END, window_size - added,
                choose_fair.blocked, choose_fair.taken || chosen, places) AS f;
            account_ids := account_ids || next_accounts.account_ids;
            read_accounts := read_accounts || next_accounts.account_ids;
            running_since := running_since || next_accounts.running_since;
            shares := shares || next_accounts.shares;
            running := running || next_accounts.running;
            rooms := rooms || next_accounts.rooms;
            position := next_accounts.last_account;
            looked_at := looked_at + next_accounts.looked_at;
            has_more := looked_at < 1000 OR cardinality(account_ids) = 0;
            IF next_accounts.free < window_size - added AND next_accounts.looked_at < 5000 THEN
                has_more := has_more AND NOT is_around;
                is_around := true;
                position := lowest;
            ELSIF is_around AND position >= first_account THEN
                has_more := false;
            END IF;
            added := added + cardinality(next_accounts.account_ids);
        END LOOP;
        IF cardinality(account_ids) = 0 THEN
            EXIT WHEN places IS NULL;
            -- Other accounts may have tasks.
            places := NULL;
            first_account := turn[1];
            position := coalesce(first_account - 1, lowest);
            is_around := first_account IS NULL;
            has_more := true;
            looked_at := 0;
            CONTINUE;
        END IF;
        has_more := has_more AND is_plain;
        IF cardinality(started) = 0 AND account_ids[1] = first_account THEN
            started := ARRAY[turn[2]];
        END IF;
        started := started || array_fill(0, ARRAY[cardinality(account_ids) - cardinality(started)]);

        SELECT q.quotas, q.last_place
        INTO quotas, last_place
        FROM contentq.fair_quotas(
            choose_fair.max_tasks - cardinality(chosen), shares, running, rooms, started) AS q;
        -- An account that got every slot, because no other could use one, does not begin another turn.
        turn := ARRAY[account_ids[last_place],
                      CASE WHEN quotas[last_place] = choose_fair.max_tasks - cardinality(chosen)
                           THEN least(started[last_place] + quotas[last_place], shares[last_place])
                           ELSE (started[last_place] + quotas[last_place] - 1) % shares[last_place] + 1 END];
        got := array_fill(0, ARRAY[cardinality(quotas)]);
        FOR each IN
            SELECT u.place,
                   CASE
                       WHEN is_plain
                       THEN ARRAY(
                           SELECT t.id::bigint
                           FROM public.content_generation_tasks AS t
                           WHERE t.status = 'pending'
                             AND t.scheduled_at IS NULL
                             AND (10 - t.priority) = 10 - choose_fair.urgency
                             AND t.account_id = u.account_id
                             AND (t.submitted_at, t.id) > (u.submitted_at, u.id)
                             AND t.id <> ALL (choose_fair.taken || choose_fair.chosen)
                             AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
                             AND t.attempt < 2147483647
                           ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                           LIMIT u.quota
                           FOR UPDATE SKIP LOCKED
                       )
                       ELSE contentq.lock_in_order(ARRAY(
                           SELECT w.id
                           FROM (
                               SELECT t.id::bigint AS id, t.category, t.timeout_at, t.submitted_at
                               FROM public.content_generation_tasks AS t
                               WHERE t.status = 'pending'
                                 AND t.scheduled_at IS NULL
                                 AND (10 - t.priority) = 10 - choose_fair.urgency
                                 AND t.account_id = u.account_id
                               ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                               LIMIT 1000
                           ) AS w
                           WHERE w.id <> ALL (choose_fair.taken || choose_fair.chosen)
                             AND contentq.is_of(w.category, choose_fair.categories)
                             AND (cardinality(choose_fair.blocked_keys) = 0
                                  OR contentq.budget_key(u.account_id, w.category) <> ALL (choose_fair.blocked_keys))
                             AND NOT (choose_fair.by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
                           ORDER BY CASE WHEN choose_fair.by_deadline THEN w.timeout_at END, w.submitted_at, w.id
                       ), u.quota)
                   END AS ids
            FROM (
                SELECT q.*,
                       coalesce((places->q.account_id::text->>0)::timestamptz, '-infinity') AS submitted_at,
                       coalesce((places->q.account_id::text->>1)::bigint, lowest) AS id
                FROM unnest(account_ids, quotas) WITH ORDINALITY AS q (account_id, quota, place)
                WHERE q.quota > 0
            ) AS u
        LOOP
            chosen := chosen || each.ids;
            got[each.place] := cardinality(each.ids);
        END LOOP;
        EXIT WHEN cardinality(chosen) >= choose_fair.max_tasks;

        -- Accounts that can use more slots stay for the next round.
        SELECT coalesce(array_agg(u.account_id ORDER BY u.place), '{}'), array_agg(u.share ORDER BY u.place),
               array_agg(u.running + u.got ORDER BY u.place), array_agg(u.room - u.got ORDER BY u.place),
               coalesce(array_agg(u.started + u.got ORDER BY u.place), '{}')
        INTO account_ids, shares, running, rooms, started
        FROM unnest(account_ids, shares, running, rooms, started, quotas, got)
            WITH ORDINALITY AS u (account_id, share, running, room, started, quota, got, place)
        WHERE u.got = u.quota
          AND coalesce(u.room > u.got, true);
    END LOOP;

    IF places IS NULL THEN
        IF NOT is_plain
            OR clock_timestamp() - began < interval '3 milliseconds' + choose_fair.max_tasks * interval '20 microseconds'
        THEN
            RETURN;
        END IF;
        -- Places of all accounts with ready tasks, unless they are many.
        IF has_more AND cardinality(read_accounts) <= 256 THEN
            SELECT f.*
            INTO next_accounts
            FROM contentq.fair_accounts(choose_fair.urgency, lowest, NULL, 257, choose_fair.blocked, '{}') AS f;
            read_accounts := next_accounts.account_ids;
            running_since := next_accounts.running_since;
            looked_at := next_accounts.looked_at;
        END IF;
        IF cardinality(read_accounts) > 256 OR looked_at >= 1000 THEN
            RETURN;
        END IF;
    END IF;
    SELECT coalesce(places, '{}') || coalesce(jsonb_object_agg(
               r.account_id,
               CASE WHEN p.submitted_at < latest THEN jsonb_build_array(p.submitted_at, p.id, least(settled, r.running_since))
                    ELSE jsonb_build_array(latest, 0, least(settled, r.running_since)) END), '{}')
    INTO places
    FROM (
        SELECT DISTINCT ON (a.account_id) a.account_id, a.running_since
        FROM unnest(read_accounts, running_since) AS a (account_id, running_since)
        ORDER BY a.account_id
    ) AS r
    LEFT JOIN LATERAL (
        SELECT c.submitted_at, c.id
        FROM (
            SELECT DISTINCT ON (o.account_id) o.account_id, o.submitted_at, o.id
            FROM unnest(chosen) AS u (id)
            CROSS JOIN LATERAL (
                SELECT t.account_id::bigint AS account_id, t.submitted_at, t.id::bigint AS id
                FROM public.content_generation_tasks AS t
                WHERE t.id = u.id
                LIMIT 1
            ) AS o
            ORDER BY o.account_id, o.submitted_at DESC, o.id DESC
        ) AS c
        WHERE c.account_id = r.account_id
    ) AS l ON true
    -- Accounts that got no slot, and whose first task is not known yet, begin just before it.
    LEFT JOIN LATERAL (
        SELECT t.submitted_at, t.id::bigint - 1 AS id
        FROM public.content_generation_tasks AS t
        WHERE l.id IS NULL
          AND places IS NULL
          AND t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND (10 - t.priority) = 10 - choose_fair.urgency
          AND t.account_id = r.account_id
        ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
        LIMIT 1
    ) AS f ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(l.submitted_at, f.submitted_at, (places->r.account_id::text->>0)::timestamptz) AS submitted_at,
               coalesce(l.id, f.id, (places->r.account_id::text->>1)::bigint) AS id
    ) AS p;
END;
$$;

COMMENT ON FUNCTION contentq.choose_fair(
    integer, integer, text[], bigint[], bigint[], boolean, text[], bigint[], jsonb, timestamptz
) IS
    'Internal: chooses and locks ready tasks of one priority so that running tasks are shared out between accounts.';
