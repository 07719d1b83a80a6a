-- Chooses and locks up to max_tasks tasks that may start now, in the order that the settings define.
-- Called by: claim(), for a registered worker.
-- Locks: the chosen tasks, skipping tasks that other sessions have locked, so it never waits; also as admit() does.
-- Returns: their ids; and whether to claim again in a moment, because more tasks may be free than were found.
--
-- Steps: leave out accounts that are paused or at their cap (left_out_accounts()); go through priorities from the highest
-- down, inside one in strict or fair order; filter by caps and budgets (admit()); choose again without the accounts and
-- categories that have no room.
-- It remembers places and blocked accounts in the worker's row of claimers. If that row is locked, it remembers nothing.
CREATE OR REPLACE FUNCTION contentq.choose_ready(
    worker_id bigint,
    max_tasks integer,
    categories text[],
    OUT chosen bigint[],
    OUT look_again boolean
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
    now_ constant timestamptz := clock_timestamp();
    -- Without duplicates: a category named twice would return each of its tasks twice.
    only_categories constant text[] := CASE
        WHEN choose_ready.categories IS NOT NULL
        THEN ARRAY(SELECT DISTINCT c.category FROM unnest(choose_ready.categories) AS c (category) WHERE c.category IS NOT NULL)
    END;
    open_categories text[] := only_categories;
    settings contentq.settings;
    memory jsonb;
    remembered jsonb;
    blocked bigint[] := contentq.left_out_accounts();
    is_plain boolean;
    due_at timestamptz;
    due bigint[];
    is_limited constant boolean := EXISTS (SELECT FROM public.accounts AS a WHERE a.max_running IS NOT NULL)
                                   OR EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                                   OR EXISTS (SELECT FROM contentq.budgets AS b);
    over_budget bigint[] := '{}'::bigint[];
    -- Categories, and accounts with a category, that a budget blocks. spent has them as [account, category] in JSON, to
    -- check them again.
    blocked_categories text[] := '{}'::text[];
    blocked_keys text[] := '{}'::text[];
    spent jsonb := '[]'::jsonb;
    part bigint[];
    first record;
    by_priority record;
    kept record;
    -- Places in strict order past the tasks of blocked accounts, or for some categories.
    has_places boolean;
    -- The same in fair order.
    has_fair_places boolean;
    places jsonb;
    heads jsonb;
    fair_places jsonb := jsonb '{}';
    began timestamptz;
    took interval;
BEGIN
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;
    SELECT c.memory INTO memory FROM contentq.claimers AS c WHERE c.worker_id = choose_ready.worker_id;
    remembered := coalesce(memory, '{}');
    -- Accounts that earlier claims found over budget are checked first, so that their tasks are not read. Of more than 100,
    -- each claim checks the next 100 and leaves out the others until their turn.
    IF remembered ? 'over_budget' THEN
        over_budget := ARRAY(
            SELECT r.id::bigint
            FROM jsonb_array_elements_text(remembered->'over_budget') WITH ORDINALITY AS r (id, place)
            ORDER BY r.place
            LIMIT 5000
        );
        over_budget := over_budget[101:] || contentq.over_budget(over_budget[:100]);
        blocked := blocked || over_budget;
        remembered := CASE WHEN cardinality(over_budget) = 0 THEN remembered - 'over_budget'
                           ELSE remembered || jsonb_build_object('over_budget', over_budget) END;
    END IF;
    IF remembered ? 'spent' THEN
        SELECT coalesce(jsonb_agg(r.key ORDER BY r.key <> '[null, null]', r.place <= 20, r.place), '[]')
        INTO spent
        FROM jsonb_array_elements(remembered->'spent') WITH ORDINALITY AS r (key, place)
        WHERE r.place <= 2000
          AND (r.place > 20 OR contentq.budget_holds((r.key->>0)::bigint, r.key->>1));
        remembered := CASE WHEN spent = '[]' THEN remembered - 'spent'
                           ELSE remembered || jsonb_build_object('spent', spent) END;
        SELECT coalesce(array_agg(s.key->>1) FILTER (WHERE s.key->>0 IS NULL), '{}'),
               coalesce(array_agg(contentq.budget_key((s.key->>0)::bigint, s.key->>1)) FILTER (WHERE s.key->>0 IS NOT NULL),
                        '{}')
        INTO blocked_categories, blocked_keys
        FROM jsonb_array_elements(spent) AS s (key);
        open_categories := contentq.open_categories(only_categories, blocked_categories);
    END IF;
    chosen := '{}';
    look_again := false;
    -- The budget of all accounts.
    IF spent->0 = '[null, null]' THEN
        SELECT a.admitted
        INTO chosen
        FROM contentq.admit(
            contentq.choose_answered(
                choose_ready.max_tasks, only_categories, contentq.left_out_accounts(), '{}'::bigint[]),
            '{}'::bigint[]) AS a;
        RETURN;
    END IF;

    has_places := settings.claim_order = 'strict' AND NOT settings.deadlines AND settings.aging IS NULL;
    is_plain := has_places AND only_categories IS NULL AND cardinality(blocked) = 0 AND spent = '[]';
    has_places := has_places AND NOT is_plain;
    has_fair_places := settings.claim_order = 'fair' AND NOT settings.deadlines AND settings.aging IS NULL
                       AND only_categories IS NULL AND spent = '[]';
    places := remembered->'places';
    IF has_fair_places
        AND (remembered->'fair_places'->>'until')::timestamptz BETWEEN now_ AND now_ + interval '1 second'
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements_text(remembered->'fair_places'->'blocked') AS h (id)
                        WHERE h.id::bigint NOT IN (SELECT unnest(blocked)))
    THEN
        heads := remembered->'fair_places'->'heads';
    END IF;

    -- Not EXISTS, which drops the order and with it the reason to use the index on scheduled_at.
    due_at := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at
        LIMIT 1
    );
    IF due_at IS NOT NULL AND is_plain AND NOT is_limited THEN
        due := contentq.choose_due(choose_ready.max_tasks, due_at);
    END IF;
    -- Other due tasks become ready, also those that may no longer start.
    IF due_at IS NOT NULL AND coalesce(cardinality(due), 0) = 0
        AND contentq.promote_scheduled(500) > choose_ready.max_tasks
    THEN
        PERFORM contentq.notify_ready();
    END IF;

    IF is_plain THEN
        SELECT f.*
        INTO first
        FROM contentq.choose_first(choose_ready.max_tasks, CASE WHEN NOT places ? 'blocked' THEN places END) AS f;
        part := first.chosen;
        remembered := CASE WHEN first.places IS NULL THEN remembered - 'places'
                           ELSE remembered || jsonb_build_object('places', first.places) END;
        IF cardinality(due) > 0 AND cardinality(part) = 0 THEN
            part := due;
        ELSIF cardinality(due) > 0 THEN
            part := ARRAY(
                SELECT t.id::bigint
                FROM public.content_generation_tasks AS t
                WHERE t.id = ANY (due || part)
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_ready.max_tasks
            );
            -- Ready tasks that were not chosen lie before these places.
            remembered := remembered - 'places';
            -- Due tasks that were not chosen become ready: tasks that become due later may be more urgent.
            UPDATE public.content_generation_tasks AS t
            SET scheduled_at = NULL,
                ready_at = greatest(t.scheduled_at, t.submitted_at),
                updated_at = CURRENT_TIMESTAMP
            WHERE t.id = ANY (due)
              AND t.id <> ALL (part);
        END IF;
    -- Before these places lie tasks of accounts that were blocked: all of them must still be blocked.
    ELSIF has_places
        AND (places->>'until')::timestamptz BETWEEN now_ AND now_ + interval '1 second'
        AND places->'categories' = coalesce(to_jsonb(only_categories), 'null')
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements_text(places->'blocked') AS h (id)
                        WHERE h.id::bigint NOT IN (SELECT unnest(blocked)))
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements(places->'spent') AS p (key)
                        WHERE p.key NOT IN (SELECT s.key FROM jsonb_array_elements(spent) AS s (key)))
    THEN
        heads := places->'heads';
    END IF;

    began := clock_timestamp();
    -- Each further round replaces tasks of accounts that had no room.
    FOR round IN 1..10 LOOP
        IF part IS NULL THEN
            SELECT b.*
            INTO by_priority
            FROM contentq.choose_by_priority(
                choose_ready.max_tasks - cardinality(chosen), open_categories, blocked, chosen, settings, heads,
                blocked_keys, remembered->'turns') AS b;
            part := by_priority.chosen;
            fair_places := by_priority.places;
            -- Tasks may have become ready before the places.
            IF has_fair_places AND heads IS NOT NULL AND cardinality(chosen) + cardinality(part) = 0 THEN
                heads := NULL;
                part := NULL;
                CONTINUE;
            END IF;
            remembered := remembered || jsonb_strip_nulls(jsonb_build_object('turns', by_priority.turns));
        END IF;

        IF NOT is_limited OR cardinality(part) = 0 THEN
            chosen := chosen || part;
            EXIT;
        END IF;
        SELECT a.* INTO kept FROM contentq.admit(part, chosen) AS a;
        chosen := chosen || kept.admitted;
        blocked := blocked || kept.blocked;
        look_again := look_again OR kept.contended OR round = 10;
        IF cardinality(kept.over_budget) > 0 THEN
            -- Also check the accounts of the following tasks: thousands may be over budget.
            SELECT array_agg(DISTINCT o.id)
            INTO kept.over_budget
            FROM unnest(kept.over_budget
                        || contentq.over_budget(contentq.next_accounts(part[cardinality(part)]))) AS o (id)
            WHERE o.id <> ALL (over_budget);
            blocked := blocked || kept.over_budget;
            over_budget := over_budget || kept.over_budget;
            remembered := remembered || jsonb_build_object('over_budget', over_budget);
        END IF;
        IF cardinality(kept.blocked_categories) > 0 OR cardinality(kept.blocked_keys) > 0 THEN
            blocked_categories := blocked_categories || kept.blocked_categories;
            blocked_keys := blocked_keys || kept.blocked_keys;
            open_categories := contentq.open_categories(only_categories, blocked_categories);
            -- Not what another claim is counting: it may have room in a moment.
            IF NOT kept.contended THEN
                spent := spent
                    || (SELECT coalesce(jsonb_agg(jsonb_build_array(NULL, n.category)), '[]')
                        FROM (SELECT DISTINCT unnest(kept.blocked_categories) AS category) AS n)
                    || (SELECT coalesce(jsonb_agg(jsonb_build_array(split_part(n.key, ':', 1)::bigint,
                                                                    substr(n.key, strpos(n.key, ':') + 1))), '[]')
                        FROM (SELECT DISTINCT unnest(kept.blocked_keys) AS key) AS n);
                remembered := remembered || jsonb_build_object('spent', spent);
            END IF;
        END IF;
        IF kept.all_blocked AND NOT kept.contended THEN
            remembered := remembered || jsonb_build_object('spent', jsonb '[[null, null]]' || spent);
        END IF;
        EXIT WHEN kept.all_blocked
            OR cardinality(kept.blocked) + cardinality(kept.blocked_categories) + cardinality(kept.blocked_keys) = 0;
        -- Refused tasks lie before the places and may start as soon as their accounts have room.
        remembered := remembered - 'places';
        has_fair_places := false;
        EXIT WHEN cardinality(chosen) >= choose_ready.max_tasks;
        part := NULL;
    END LOOP;

    -- Blocked tasks may include some whose batch answer has arrived and is already paid for.
    IF is_limited AND cardinality(chosen) < choose_ready.max_tasks THEN
        part := contentq.choose_answered(
            choose_ready.max_tasks - cardinality(chosen), only_categories, contentq.left_out_accounts(), chosen);
        IF cardinality(part) > 0 THEN
            SELECT a.* INTO kept FROM contentq.admit(part, chosen) AS a;
            chosen := chosen || kept.admitted;
            look_again := look_again OR kept.contended;
        END IF;
    END IF;

    -- For the reason, see choose_first().
    IF has_places THEN
        remembered := remembered - 'places';
        took := clock_timestamp() - began;
        IF cardinality(blocked) <= 1000
            AND (heads IS NOT NULL
                 OR took > interval '5 milliseconds' + choose_ready.max_tasks * interval '20 microseconds')
        THEN
            remembered := remembered || jsonb_build_object('places', jsonb_build_object(
                'until', CASE WHEN heads IS NOT NULL THEN (places->>'until')::timestamptz
                              ELSE now_ + least(20 * took, interval '1 second') END,
                'categories', only_categories,
                'blocked', blocked,
                'spent', spent,
                'heads', contentq.reached_places(
                    heads, chosen, cardinality(chosen) >= choose_ready.max_tasks, now_)
            ));
        END IF;
    END IF;

    remembered := remembered - 'fair_places';
    IF has_fair_places AND fair_places <> '{}' AND cardinality(blocked) <= 1000 THEN
        remembered := remembered || jsonb_build_object('fair_places', jsonb_build_object(
            'until', CASE WHEN heads IS NOT NULL THEN (memory->'fair_places'->>'until')::timestamptz
                          ELSE now_ + least(20 * (clock_timestamp() - began), interval '1 second') END,
            'blocked', blocked,
            'heads', fair_places || jsonb_build_object(
                'since', coalesce((heads->>'since')::timestamptz, now_ - interval '1 second'))
        ));
    END IF;

    IF remembered IS DISTINCT FROM coalesce(memory, '{}') THEN
        UPDATE contentq.claimers AS c
        SET memory = remembered
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = choose_ready.worker_id
                             FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.choose_ready(bigint, integer, text[]) IS
    'Internal: chooses and locks the tasks that claim() is going to claim; returns their ids.';
