-- Chooses and locks ready tasks of one priority so that what runs is shared out between accounts.
-- Called by: choose_ready(), with claim_order fair.
-- categories, held, taken, by_deadline: as in choose_in_order(). after_account: what the last call of this worker returned.
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids; and the account that the next call is to begin after.
--
-- What runs is counted from the rows, so that nothing can drift. A call looks at 64 accounts, or at as many as it has slots
-- to fill; the next one begins where it ended, so that each account is looked at in turn. What an account does not use
-- goes to the others. With categories or deadlines, the first 1000 tasks of an account are looked at.
CREATE OR REPLACE FUNCTION contentq.choose_fair(
    urgency integer,
    max_tasks integer,
    categories text[],
    held bigint[],
    taken bigint[],
    by_deadline boolean,
    INOUT after_account bigint,
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
    window_size constant integer := greatest(64, choose_fair.max_tasks);
    is_plain constant boolean := choose_fair.categories IS NULL AND NOT choose_fair.by_deadline;
    account_ids bigint[];
    shares integer[];
    running integer[];
    rooms integer[];
    waiting_since timestamptz[];
    quotas integer[];
    got integer[];
    part bigint[];
    each record;
BEGIN
    chosen := '{}';
    SELECT array_agg(r.account_id ORDER BY r.place), array_agg(r.share ORDER BY r.place),
           array_agg(r.running ORDER BY r.place), array_agg(r.max_running - r.running ORDER BY r.place),
           array_agg(r.first_submitted_at ORDER BY r.place),
           (array_agg(r.account_id ORDER BY r.place DESC))[1]
    INTO account_ids, shares, running, rooms, waiting_since, after_account
    FROM contentq.fair_accounts(choose_fair.urgency, window_size, choose_fair.held, after_account) AS r;

    -- Tasks that the same claim has chosen before run as well.
    IF cardinality(choose_fair.taken) > 0 THEN
        running := ARRAY(
            SELECT r.running + (SELECT count(*)::integer
                                FROM public.content_generation_tasks AS t
                                WHERE t.id = ANY (choose_fair.taken)
                                  AND t.account_id + 0 = r.account_id)
            FROM unnest(account_ids, running) WITH ORDINALITY AS r (account_id, running, place)
            ORDER BY r.place
        );
    END IF;

    WHILE cardinality(account_ids) > 0 AND cardinality(chosen) < choose_fair.max_tasks LOOP
        quotas := contentq.fair_quotas(
            choose_fair.max_tasks - cardinality(chosen), shares, running, rooms, waiting_since);
        got := array_fill(0, ARRAY[cardinality(quotas)]);
        part := '{}';
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
                             AND (choose_fair.categories IS NULL OR w.category = ANY (choose_fair.categories))
                             AND NOT (choose_fair.by_deadline
                                      AND coalesce(w.timeout_at <= clock_timestamp() + contentq.median_duration(w.category),
                                                   false))
                           ORDER BY CASE WHEN choose_fair.by_deadline THEN w.timeout_at END, w.submitted_at, w.id
                       ), u.quota)
                   END AS ids
            FROM unnest(account_ids, quotas) WITH ORDINALITY AS u (account_id, quota, place)
            WHERE u.quota > 0
        LOOP
            part := part || each.ids;
            got[each.place] := cardinality(each.ids);
        END LOOP;
        chosen := chosen || part;

        SELECT array_agg(u.account_id), array_agg(u.share), array_agg(u.running + u.got),
               array_agg(u.room - u.got), array_agg(u.waiting_since)
        INTO account_ids, shares, running, rooms, waiting_since
        FROM unnest(account_ids, shares, running, rooms, waiting_since, quotas, got)
            AS u (account_id, share, running, room, waiting_since, quota, got)
        WHERE u.got = u.quota
          AND coalesce(u.room > u.got, true);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.choose_fair(integer, integer, text[], bigint[], bigint[], boolean, bigint) IS
    'Internal: chooses and locks ready tasks of one priority so that what runs is shared out between accounts.';
