-- Chooses and locks the first ready tasks in strict order, whoever they are of.
-- Called by: choose_ready(), when no account is held, no category is asked for and nothing orders otherwise.
-- places: what an earlier call of the same worker has returned, '{}' for nothing.
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, in order; and what to remember, NULL for nothing new.
--
-- Tasks that were claimed leave dead entries at the head of the ready index. Usually the next scan marks them and
-- no other walks them again. While some session holds an old snapshot (a report, a dump, a forgotten BEGIN) they
-- cannot be marked, and each claim would walk all of them. When a scan has taken long, what it returns therefore says how
-- far it has come in each priority, for twenty times as long as the scan took, a second at most, and the next call begins
-- there. Tasks that become ready behind that place meanwhile, such as retries, are found by the next whole scan; new
-- ones are found at once, and more urgent ones unless they are behind the place of their own priority.
CREATE OR REPLACE FUNCTION contentq.choose_first(
    max_tasks integer,
    INOUT places jsonb,
    OUT chosen bigint[],
    long interval DEFAULT NULL
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
    began constant timestamptz := clock_timestamp();
    is_long constant interval := coalesce(
        choose_first.long, interval '3 milliseconds' + choose_first.max_tasks * interval '20 microseconds'
    );
    heads jsonb;
    head record;
    took interval;
    until timestamptz;
BEGIN
    chosen := '{}';
    -- Not after the clock was set back, either.
    IF (places->>'until')::timestamptz BETWEEN began AND began + interval '1 second' THEN
        heads := places->'heads';
        until := (places->>'until')::timestamptz;
        FOR urgency IN REVERSE 10..1 LOOP
            SELECT coalesce((heads->urgency::text->>0)::timestamptz, '-infinity') AS submitted_at,
                   coalesce((heads->urgency::text->>1)::bigint, -9223372036854775808) AS id
            INTO head;
            chosen := chosen || ARRAY(
                SELECT t.id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority = urgency
                  AND (t.submitted_at, t.id) > (head.submitted_at, head.id)
                  AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
                  AND t.attempt < 2147483647
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_first.max_tasks - cardinality(chosen)
                FOR UPDATE SKIP LOCKED
            );
            EXIT WHEN cardinality(chosen) >= choose_first.max_tasks;
        END LOOP;
    ELSE
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT choose_first.max_tasks
            FOR UPDATE SKIP LOCKED
        );
        took := clock_timestamp() - began;
        -- One that has found nothing was not in vain twice: its worker sleeps until there may be something.
        IF took < is_long OR cardinality(chosen) = 0 THEN
            places := NULL;
            RETURN;
        END IF;
        until := began + least(20 * took, interval '1 second');
    END IF;

    places := jsonb_build_object(
        'until', until,
        'heads', contentq.reached_places(heads, chosen, cardinality(chosen) >= choose_first.max_tasks, began)
    );
END;
$$;

COMMENT ON FUNCTION contentq.choose_first(integer, jsonb, interval) IS
    'Internal: chooses and locks the first ready tasks in strict order; returns their ids in order, and what to remember.';
