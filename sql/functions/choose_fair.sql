-- Chooses and locks ready tasks of one priority so that running tasks are shared out between accounts.
-- Called by: choose_by_priority(), if claim_order is fair.
-- turn: what the previous call of this worker for this priority returned; NULL for the first. categories, blocked, taken,
-- by_deadline, blocked_keys: as in choose_in_order().
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids; and the next turn: the id of an account and how many tasks it has started in this turn.
--
-- Running tasks are counted from the rows, so no counter can drift. A call considers 64 accounts, or as many as it has
-- slots to fill, starting with the account whose turn it is. Slots that these accounts do not use go to the following
-- accounts and to those with more ready tasks; after about 1000 accounts they go to the first ones that can use them. With
-- categories or deadlines, it considers one window of accounts and the first 1000 tasks of each.
CREATE OR REPLACE FUNCTION contentq.choose_fair(
    urgency integer,
    max_tasks integer,
    categories text[],
    blocked bigint[],
    taken bigint[],
    by_deadline boolean,
    blocked_keys text[],
    INOUT turn bigint[],
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
    first_account constant bigint := turn[1];
    position bigint := coalesce(first_account - 1, lowest);
    is_around boolean := first_account IS NULL;
    has_more boolean := true;
    looked_at integer := 0;
    added integer;
    next_accounts record;
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
    LOOP
        -- The next accounts above the position; after the highest id, start again from the lowest.
        added := 0;
        WHILE has_more AND added < window_size LOOP
            SELECT f.*
            INTO next_accounts
            FROM contentq.fair_accounts(
                choose_fair.urgency, position, CASE WHEN is_around THEN first_account END, window_size - added,
                choose_fair.blocked, choose_fair.taken) AS f;
            account_ids := account_ids || next_accounts.account_ids;
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
        EXIT WHEN cardinality(account_ids) = 0;
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
            FROM unnest(account_ids, quotas) WITH ORDINALITY AS u (account_id, quota, place)
            WHERE u.quota > 0
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
END;
$$;

COMMENT ON FUNCTION contentq.choose_fair(integer, integer, text[], bigint[], bigint[], boolean, text[], bigint[]) IS
    'Internal: chooses and locks ready tasks of one priority so that running tasks are shared out between accounts.';
