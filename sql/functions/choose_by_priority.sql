-- Chooses and locks ready tasks from the highest priority down, in the order that the settings define.
-- Called by: choose_ready(), unless the plain order of choose_first() applies.
-- categories: only these; NULL for all. blocked, blocked_keys: blocked accounts, and blocked accounts with a category. taken:
-- tasks that the same claim chose earlier. heads: for each priority, the place in strict order to start from, or the places
-- in fair order, where `since` is a time before which every task was seen; NULL if unknown.
-- turns: for each priority, which account has its turn in fair order (see choose_fair()).
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, the next turns, and in fair order for each priority the places to remember.
CREATE OR REPLACE FUNCTION contentq.choose_by_priority(
    max_tasks integer,
    categories text[],
    blocked bigint[],
    taken bigint[],
    settings contentq.settings,
    heads jsonb,
    blocked_keys text[],
    INOUT turns jsonb,
    OUT places jsonb,
    OUT chosen bigint[]
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
    urgency integer := 11;
    above integer;
    fair record;
BEGIN
    chosen := '{}'::bigint[];
    places := coalesce(heads - 'since', '{}');
    IF settings.aging IS NOT NULL THEN
        -- Aged tasks get every other slot, so urgent tasks still start when many have aged.
        chosen := contentq.choose_aged(
            CASE WHEN max_tasks = 1 THEN (random() < 0.5)::integer ELSE (max_tasks + 1) / 2 END,
            clock_timestamp() - settings.aging, categories, blocked, taken, settings.deadlines, blocked_keys);
    END IF;
    WHILE cardinality(chosen) < max_tasks LOOP
        above := urgency;
        IF heads IS NOT NULL THEN
            urgency := nullif(urgency - 1, 0);
        ELSE
            urgency := (
                SELECT t.priority
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority < urgency
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT 1
            );
        END IF;
        EXIT WHEN urgency IS NULL;
        IF settings.claim_order = 'fair' THEN
            SELECT f.*
            INTO fair
            FROM contentq.choose_fair(
                urgency, max_tasks - cardinality(chosen), categories, blocked, taken || chosen, settings.deadlines,
                blocked_keys, ARRAY[(turns->urgency::text->>0)::bigint, (turns->urgency::text->>1)::bigint],
                heads->urgency::text, (heads->>'since')::timestamptz) AS f;
            chosen := chosen || fair.chosen;
            turns := coalesce(turns, '{}') || jsonb_build_object(urgency::text, to_jsonb(fair.turn));
            IF fair.places IS NULL THEN
                places := places - urgency::text;
            ELSE
                -- Nothing is ready in the priorities between.
                places := places || jsonb_build_object(urgency::text, fair.places)
                    || (SELECT coalesce(jsonb_object_agg(p.priority, jsonb '{}'), '{}')
                        FROM generate_series(urgency + 1, above - 1) AS p (priority));
                CONTINUE WHEN fair.places = '{}';
            END IF;
        END IF;
        IF cardinality(chosen) < max_tasks THEN
            chosen := chosen || contentq.choose_in_order(
                urgency, max_tasks - cardinality(chosen), categories, blocked, taken || chosen, settings.deadlines, blocked_keys,
                coalesce((heads->urgency::text->>0)::timestamptz, '-infinity'),
                coalesce((heads->urgency::text->>1)::bigint, -9223372036854775808));
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.choose_by_priority(
    integer, text[], bigint[], bigint[], contentq.settings, jsonb, text[], jsonb
) IS
    'Internal: chooses and locks ready tasks from the highest priority down, in the order that the settings define.';
