-- Chooses and locks up to max_tasks ready tasks, most urgent first: priority DESC, submitted_at, id.
-- Called by: claim().
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, in order. A task that a producer has given the highest attempt there is, is never chosen,
--          nor is one of a blocked account: paused, or with its budget for this month used up.
--
-- Tasks that were claimed leave dead entries at the head of the ready index. Usually the next scan marks them and
-- no other walks them again. While some session holds an old snapshot (a report, a dump, a forgotten BEGIN) they
-- cannot be marked, and each claim would walk all of them; as it would all the tasks of a blocked account.
-- When a scan has taken long, the session therefore remembers how far it has come in each priority (in the setting
-- contentq.ready_heads, for twenty times as long as the scan took, a second at most) and begins there. Tasks that become
-- ready behind that place meanwhile, such as retries, are found by the next whole scan; new ones are found at once, and
-- more urgent ones unless they are behind the place of their own priority. While accounts are held, it counts for up to
-- 5 seconds, since their tasks do not go away by being walked over: a million of them take half a second.
CREATE OR REPLACE FUNCTION contentq.choose_ready(max_tasks integer, categories text[])
RETURNS bigint[]
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
    -- Set to 0 by tests, so that each scan is taken for a long one.
    long constant interval := coalesce(
        nullif(current_setting('contentq.long_scan', true), '')::interval,
        interval '3 milliseconds' + choose_ready.max_tasks * interval '20 microseconds'
    );
    held bigint[] := ARRAY(
        SELECT h.account_id
        FROM contentq.blocked_accounts AS h
        WHERE greatest(h.paused_until, h.over_budget_until) > began
        ORDER BY h.account_id
    );
    longest constant interval := CASE
        WHEN cardinality(held) > 0 THEN interval '5 seconds'
        ELSE interval '1 second'
    END;
    memory jsonb := nullif(current_setting('contentq.ready_heads', true), '')::jsonb;
    heads jsonb := jsonb '{}';
    head record;
    chosen bigint[] := ARRAY[]::bigint[];
    took interval;
BEGIN
    IF memory IS NOT NULL
        -- Not after the clock was set back, either.
        AND (memory->>'until')::timestamptz BETWEEN began AND began + longest
        AND (memory->'categories') IS NOT DISTINCT FROM coalesce(to_jsonb(choose_ready.categories), 'null')
        AND memory->'held' = to_jsonb(held)
    THEN
        heads := memory->'heads';
        memory := memory - 'idle';
        FOR urgency IN REVERSE 10..1 LOOP
            SELECT coalesce((heads->urgency::text->>0)::timestamptz, '-infinity') AS submitted_at,
                   coalesce((heads->urgency::text->>1)::bigint, 0) AS id
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
                  AND t.account_id <> ALL (held)
                  AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_ready.max_tasks - cardinality(chosen)
                FOR UPDATE SKIP LOCKED
            );
            EXIT WHEN cardinality(chosen) >= choose_ready.max_tasks;
        END LOOP;
    ELSE
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
              AND t.account_id <> ALL (held)
              AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT choose_ready.max_tasks
            FOR UPDATE SKIP LOCKED
        );
        took := clock_timestamp() - began;
        -- One that has found nothing was not in vain twice: the session sleeps until there may be something. But each
        -- new task of a blocked account wakes it, and need not make it walk over all the others again.
        IF took < long OR cardinality(chosen) = 0 AND cardinality(held) = 0 THEN
            IF memory IS NOT NULL THEN
                PERFORM set_config('contentq.ready_heads', '', false);
            END IF;
            RETURN chosen;
        END IF;
        memory := jsonb_build_object(
            'until', began + least(20 * took, longest),
            'categories', choose_ready.categories,
            'held', held,
            -- Nothing was there, so that there is no reason to look again (see next_claim_in()) before it is woken.
            'idle', cardinality(chosen) = 0
        );
        -- The scan has seen all that is more urgent than the last task it chose, and everything if it chose few.
        SELECT jsonb_object_agg(p.priority, jsonb_build_array(began - interval '1 second', 0))
        INTO heads
        FROM generate_series(1, 10) AS p (priority)
        WHERE cardinality(chosen) < choose_ready.max_tasks
           OR p.priority > (SELECT t.priority
                            FROM public.content_generation_tasks AS t
                            WHERE t.id = chosen[cardinality(chosen)]);
    END IF;

    heads := coalesce(heads, '{}');
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole one.
    IF cardinality(chosen) > 0 THEN
        -- Not into the last second, whose tasks may not have been committed yet.
        SELECT heads || jsonb_object_agg(l.priority, l.place)
        INTO heads
        FROM (
            SELECT DISTINCT ON (t.priority) t.priority,
                   CASE WHEN t.submitted_at < began - interval '1 second'
                        THEN jsonb_build_array(t.submitted_at, t.id)
                        ELSE jsonb_build_array(began - interval '1 second', 0) END AS place
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (chosen)
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
        ) AS l;
    END IF;
    PERFORM set_config('contentq.ready_heads', (memory || jsonb_build_object('heads', heads))::text, false);
    RETURN chosen;
END;
$$;

COMMENT ON FUNCTION contentq.choose_ready(integer, text[]) IS
    'Internal: chooses and locks the tasks that claim() takes; returns their ids in order.';
