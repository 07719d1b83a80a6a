-- Keeps of chosen tasks those that the caps and budgets of their accounts let start.
-- Called by: choose_ready(), which has locked these tasks.
-- starting: tasks that were admitted before in the same claim.
-- Locks: the places in cap_locks of the accounts with a cap, until the claim is committed: the next to count there sees
--        what has started. It never waits: an account whose place another claim holds is left out this time.
-- Returns: the ids that may start, in their order; the accounts that have no room left for the others; those of them
--          that are over budget; and whether a place was held by another claim, so that it is worth looking again.
-- The place is updated, not only locked: in a transaction with an older snapshot PostgreSQL then refuses to count.
CREATE OR REPLACE FUNCTION contentq.admit(
    ids bigint[],
    starting bigint[],
    OUT admitted bigint[],
    OUT held bigint[],
    OUT over_budget bigint[],
    OUT contended boolean
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    each record;
    lock_place integer;
    room integer;
BEGIN
    admitted := admit.ids;
    held := '{}';
    over_budget := '{}';
    contended := false;
    FOR each IN
        SELECT a.account, c.chosen
        FROM (
            SELECT o.account_id, array_agg(u.id ORDER BY u.place) AS chosen
            FROM unnest(admit.ids) WITH ORDINALITY AS u (id, place)
            -- LIMIT: each is looked up; a join could be turned round.
            CROSS JOIN LATERAL (
                SELECT t.account_id
                FROM public.content_generation_tasks AS t
                WHERE t.id = u.id
                LIMIT 1
            ) AS o
            GROUP BY o.account_id
        ) AS c
        CROSS JOIN LATERAL (SELECT l AS account FROM public.accounts AS l WHERE l.id = c.account_id LIMIT 1) AS a
        WHERE (a.account).max_running IS NOT NULL
           OR (a.account).monthly_budget IS NOT NULL
              AND contentq.spent_this_month((a.account).id) >= (a.account).monthly_budget
        ORDER BY ((a.account).id % 64)
    LOOP
        IF (each.account).max_running IS NOT NULL THEN
            SELECT l.place
            INTO lock_place
            FROM contentq.cap_locks AS l
            WHERE l.place = (each.account).id % 64
            FOR NO KEY UPDATE SKIP LOCKED;
            UPDATE contentq.cap_locks AS l SET place = l.place WHERE l.place = lock_place;
        END IF;
        IF (each.account).max_running IS NOT NULL AND lock_place IS NULL THEN
            room := 0;
            contended := true;
        ELSE
            room := contentq.account_room(each.account, (
                SELECT count(*)::integer
                FROM unnest(admit.starting) AS u (id)
                CROSS JOIN LATERAL (
                    SELECT t.account_id
                    FROM public.content_generation_tasks AS t
                    WHERE t.id = u.id
                    LIMIT 1
                ) AS o
                WHERE o.account_id = (each.account).id
            ));
        END IF;
        IF room < cardinality(each.chosen) THEN
            admitted := ARRAY(
                SELECT u.id
                FROM unnest(admitted) WITH ORDINALITY AS u (id, place)
                WHERE u.id <> ALL (each.chosen[room + 1:])
                ORDER BY u.place
            );
            held := held || (each.account).id::bigint;
            IF contentq.spent_this_month((each.account).id) >= (each.account).monthly_budget THEN
                over_budget := over_budget || (each.account).id::bigint;
            END IF;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.admit(bigint[], bigint[]) IS
    'Internal: of chosen tasks, those that the caps and budgets of their accounts let start.';
