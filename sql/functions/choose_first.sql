-- Chooses and locks the first ready tasks in strict order, of any account.
-- Called by: choose_ready(), if no account is blocked, no category is requested and strict order applies.
-- places: what an earlier call of the same worker returned; '{}' for none. long: how long a scan may take before its
-- places are worth remembering.
-- Locks: the chosen tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: their ids, in order; and the places to remember, NULL for none.
--
-- Claimed tasks leave dead entries at the head of the ready index. Usually the next scan marks them, and later scans skip
-- them. While a session holds an old snapshot (a report, a dump, a forgotten BEGIN), they cannot be marked and each claim
-- would read all of them. So a slow scan returns how far it came in each priority, and the next call starts there. The
-- places are valid for twenty times the duration of the scan, at most one second. Tasks that become ready before that place
-- in the meantime, such as retries, are found by the next full scan. New tasks are found at once; more urgent ones also,
-- unless they lie before the place of their own priority.
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
    -- The upper bound discards places from before the clock was set back.
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
        -- A scan that found nothing is not repeated at once: its worker sleeps until there may be a task.
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
    'Internal: chooses and locks the first ready tasks in strict order; returns their ids, in order, and places to '
    'remember.';
