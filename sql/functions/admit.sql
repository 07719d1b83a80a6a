-- Filters chosen tasks down to those that caps and budgets allow to start.
-- Called by: choose_ready(), which has locked these tasks.
-- starting: tasks that the same claim admitted earlier.
-- Locks: the places in cap_locks of accounts with a cap or a budget, and of categories with a budget, until the claim
--        commits; the next claim that counts there sees what this one started. It never waits: if another claim has locked
--        a place, the tasks of that account or category are left out this time.
-- Returns: admitted: the ids that may start, in the given order. blocked: accounts that have no room left. over_budget: those
--          of them that a budget blocks. blocked_categories, blocked_keys: categories, and accounts with a category (see
--          budget_key()), that a budget blocks. all_blocked: whether a budget blocks everything. contended: whether another
--          claim had locked a place, so that a retry may find more.
-- No budget stops a task that collects the answer to its batch request: that cost is already paid or reserved.
-- The place is updated, not only locked, so that PostgreSQL refuses to count in a transaction with an older snapshot.
CREATE OR REPLACE FUNCTION contentq.admit(
    ids bigint[],
    starting bigint[],
    OUT admitted bigint[],
    OUT blocked bigint[],
    OUT over_budget bigint[],
    OUT blocked_categories text[],
    OUT blocked_keys text[],
    OUT all_blocked boolean,
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
    accounts bigint[];
    categories text[];
    starting_accounts bigint[];
    starting_categories text[];
    has_answer boolean[];
    is_refused boolean[] := array_fill(false, ARRAY[cardinality(admit.ids)]);
    each record;
    lock_place integer;
    places bigint[];
    room integer;
    budget record;
    refused text[];
BEGIN
    blocked := '{}';
    over_budget := '{}';
    blocked_categories := '{}';
    blocked_keys := '{}';
    all_blocked := false;
    contended := false;
    -- LIMIT forces one lookup for each id; the planner could reverse a plain join.
    SELECT array_agg(o.account_id ORDER BY u.place), array_agg(o.category ORDER BY u.place),
           array_agg(o.has_answer ORDER BY u.place)
    INTO accounts, categories, has_answer
    FROM unnest(admit.ids) WITH ORDINALITY AS u (id, place)
    CROSS JOIN LATERAL (
        SELECT t.account_id::bigint AS account_id, left(coalesce(t.category, ''), 200) AS category,
               t.handler_state IS NOT NULL AND contentq.has_answer(t.id::bigint, t.status, t.handler_state) AS has_answer
        FROM public.content_generation_tasks AS t
        WHERE t.id = u.id
        LIMIT 1
    ) AS o;
    SELECT coalesce(array_agg(o.account_id), '{}'), coalesce(array_agg(o.category), '{}')
    INTO starting_accounts, starting_categories
    FROM unnest(admit.starting) AS u (id)
    CROSS JOIN LATERAL (
        SELECT t.account_id::bigint AS account_id, left(coalesce(t.category, ''), 200) AS category
        FROM public.content_generation_tasks AS t
        WHERE t.id = u.id
        LIMIT 1
    ) AS o;

    FOR each IN
        WITH mine AS MATERIALIZED (
            SELECT u.account_id, array_agg(u.place ORDER BY u.place) AS places
            FROM unnest(accounts) WITH ORDINALITY AS u (account_id, place)
            GROUP BY u.account_id
        )
        SELECT (a.account).id::bigint AS account_id, NULL AS category, 'month' AS period,
               (a.account).monthly_budget AS amount, a.account, m.places
        FROM mine AS m
        CROSS JOIN LATERAL (SELECT l AS account FROM public.accounts AS l WHERE l.id = m.account_id LIMIT 1) AS a
        WHERE (a.account).max_running IS NOT NULL
           OR (a.account).monthly_budget IS NOT NULL
        UNION ALL
        SELECT b.account_id, b.category, b.period, b.amount, NULL, m.places
        FROM mine AS m
        CROSS JOIN LATERAL (
            SELECT g.*
            FROM contentq.budgets AS g
            WHERE g.account_id = m.account_id
              AND (g.category IS NULL OR g.category = ANY (categories))
            ORDER BY g.account_id
            LIMIT 1000
        ) AS b
        UNION ALL
        SELECT NULL, b.category, b.period, b.amount, NULL, ARRAY(SELECT generate_series(1, cardinality(admit.ids)))
        FROM contentq.budgets AS b
        WHERE b.account_id IS NULL
          AND (b.category IS NULL OR b.category = ANY (categories))
    LOOP
        places := ARRAY(
            SELECT p.place
            FROM unnest(each.places) AS p (place)
            WHERE NOT is_refused[p.place]
              AND coalesce(categories[p.place] = each.category, true)
            ORDER BY p.place
        );
        CONTINUE WHEN cardinality(places) = 0;

        lock_place := coalesce(each.account_id & 63, hashtext(each.category) & 63, 0);
        PERFORM FROM contentq.cap_locks AS l WHERE l.place = lock_place FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            contended := true;
            FOR i IN 1..cardinality(places) LOOP
                is_refused[places[i]] := true;
            END LOOP;
            IF each.account_id IS NULL AND each.category IS NULL THEN
                all_blocked := true;
            ELSIF each.account_id IS NULL THEN
                blocked_categories := blocked_categories || each.category;
            ELSIF each.category IS NULL THEN
                blocked := blocked || each.account_id;
            ELSE
                blocked_keys := blocked_keys || contentq.budget_key(each.account_id, each.category);
            END IF;
            CONTINUE;
        END IF;
        UPDATE contentq.cap_locks AS l SET place = l.place WHERE l.place = lock_place;

        IF (each.account).max_running IS NOT NULL THEN
            room := contentq.account_room(
                each.account, cardinality(array_positions(starting_accounts, each.account_id)));
            IF room < cardinality(places) THEN
                FOR i IN room + 1..cardinality(places) LOOP
                    is_refused[places[i]] := true;
                END LOOP;
                places := places[:room];
                blocked := blocked || each.account_id;
            END IF;
        END IF;

        places := ARRAY(
            SELECT p.place
            FROM unnest(places) WITH ORDINALITY AS p (place, number)
            WHERE NOT has_answer[p.place]
            ORDER BY p.number
        );
        IF each.amount IS NOT NULL AND cardinality(places) > 0 THEN
            SELECT r.*
            INTO budget
            FROM contentq.budget_room(
                each.account_id, each.category, each.period, each.amount,
                ARRAY(SELECT s.category
                      FROM unnest(starting_accounts, starting_categories) AS s (account_id, category)
                      WHERE coalesce(s.account_id = each.account_id, true)
                        AND coalesce(s.category = each.category, true)),
                ARRAY(SELECT categories[p.place] FROM unnest(places) WITH ORDINALITY AS p (place, number) ORDER BY p.number)
            ) AS r;
            refused := '{}';
            FOR i IN 1..cardinality(places) LOOP
                IF NOT budget.fits[i] THEN
                    is_refused[places[i]] := true;
                    refused := refused || categories[places[i]];
                END IF;
            END LOOP;
            CONTINUE WHEN cardinality(refused) = 0;
            IF each.account_id IS NULL AND each.category IS NULL AND budget.is_full THEN
                all_blocked := true;
            ELSIF each.account_id IS NULL THEN
                blocked_categories := blocked_categories || ARRAY(SELECT DISTINCT unnest(refused));
            ELSIF each.category IS NULL AND budget.is_full THEN
                blocked := blocked || each.account_id;
                over_budget := over_budget || each.account_id;
            ELSE
                blocked_keys := blocked_keys
                    || ARRAY(SELECT DISTINCT contentq.budget_key(each.account_id, r.category) FROM unnest(refused) AS r (category));
            END IF;
        END IF;
    END LOOP;

    admitted := ARRAY(
        SELECT u.id
        FROM unnest(admit.ids, is_refused) WITH ORDINALITY AS u (id, is_refused, place)
        WHERE NOT u.is_refused
        ORDER BY u.place
    );
END;
$$;

COMMENT ON FUNCTION contentq.admit(bigint[], bigint[]) IS
    'Internal: filters chosen tasks down to those that the caps and budgets of their accounts and categories allow to '
    'start.';
