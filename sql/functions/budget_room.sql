-- Computes what is left of a budget: the cost so far, what is reserved for running tasks, and which further tasks fit.
-- Called by: admit(), under the lock of the budget's place; budget_refusals(), over_budget(), the view budget_status.
-- account_id, category: the tasks that count; NULL for all, category '' for tasks without one. starting: the categories of
-- tasks that count, are about to start and are not processing yet. wanted: the categories of further tasks, in order.
-- Locks: nothing. Returns: spent, reserved, running: the sums, including starting; fits: for each wanted task whether it
--        fits, where each one that fits is reserved as well; expected: the expected cost of another task of the last one's
--        category, NULL if not known; is_full: whether no further task fits.
--
-- For each running task, and each task whose request is in a provider batch, the expected cost of its category is reserved.
-- That is the average of the last 7 days (or of today, if higher); if costs vary, the largest cost, up to three times the
-- average. All of it is read from the rows in one snapshot: a report turns a reservation into spending in one transaction.
-- An average of few attempts is uncertain. So each category may have one more running task than it has attempts in these
-- days: 1, 2, 4, 8 and so on. If nothing is known for the budget, one task runs.
-- While nothing runs, a task may start until the budget is used up; otherwise the last part of it could never be spent.
-- Tasks in batches do not count as running: the first batch may take a day until its cost is known.
CREATE OR REPLACE FUNCTION contentq.budget_room(
    account_id bigint,
    category text,
    period text,
    amount numeric,
    starting text[] DEFAULT '{}',
    wanted text[] DEFAULT '{}',
    OUT spent numeric,
    OUT reserved numeric,
    OUT running integer,
    OUT fits boolean[],
    OUT expected numeric,
    OUT is_full boolean
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    today constant date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    recent constant date := today - 6;
    began_on constant date := contentq.budget_start(budget_room.period);
    since constant date := least(began_on, recent);
    all_categories text[];
    all_running integer[];
    all_asked bigint[];
    all_attempts bigint[];
    all_costs numeric[];
    highest numeric;
    lowest numeric;
    is_known boolean;
    -- Tasks whose requests are in batches.
    asked bigint;
    place integer;
BEGIN
    WITH of_tasks AS (
        -- Only one index has this order.
        (SELECT t.category
         FROM public.content_generation_tasks AS t
         WHERE budget_room.account_id IS NOT NULL
           AND t.status COLLATE "C" = 'processing'
           AND t.account_id = budget_room.account_id
         ORDER BY t.account_id, t.started_at
         OFFSET 0)
        UNION ALL
        (SELECT t.category
         FROM public.content_generation_tasks AS t
         WHERE budget_room.account_id IS NULL
           AND t.status COLLATE "C" = 'processing'
         ORDER BY t.account_id, t.started_at
         OFFSET 0)
        UNION ALL
        SELECT s.category
        FROM unnest(budget_room.starting) AS s (category)
    ),
    of_usage AS (
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NOT NULL
          AND u.account_id = budget_room.account_id
          AND u.day >= since
          AND (budget_room.category IS NULL OR u.category = budget_room.category)
        UNION ALL
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NULL
          AND budget_room.category IS NOT NULL
          AND u.category = budget_room.category
          AND u.day >= since
        UNION ALL
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NULL
          AND budget_room.category IS NULL
          AND u.day >= since
    ),
    of_batches AS (
        SELECT r.category, count(*) AS asked
        FROM contentq.batch_requests AS r
        WHERE NOT r.is_taken
          AND budget_room.account_id IS NOT NULL
          AND r.account_id = budget_room.account_id
          AND (budget_room.category IS NULL OR r.category = budget_room.category)
        GROUP BY r.category
        UNION ALL
        SELECT r.category, count(*)
        FROM contentq.batch_requests AS r
        WHERE NOT r.is_taken
          AND budget_room.account_id IS NULL
          AND (budget_room.category IS NULL OR r.category = budget_room.category)
        GROUP BY r.category
    ),
    by_category AS (
        SELECT e.category, sum(e.asked) AS asked, sum(e.running) AS running, sum(e.spent) AS spent, sum(e.attempts) AS attempts,
               greatest(sum(e.cost) / nullif(sum(e.attempts), 0), sum(e.cost_today) / nullif(sum(e.attempts_today), 0))
                   AS average,
               max(e.largest) AS largest
        FROM (
            SELECT left(coalesce(t.category, ''), 200) AS category, 0::bigint AS asked, count(*) AS running,
                   0::numeric AS spent,
                   0::numeric AS attempts, 0::numeric AS cost, 0::numeric AS attempts_today, 0::numeric AS cost_today,
                   NULL::numeric AS largest
            FROM of_tasks AS t
            WHERE budget_room.category IS NULL
               OR left(coalesce(t.category, ''), 200) = budget_room.category
            GROUP BY left(coalesce(t.category, ''), 200)
            UNION ALL
            SELECT b.category, b.asked, 0, 0, 0, 0, 0, 0, NULL
            FROM of_batches AS b
            UNION ALL
            SELECT u.category, 0, 0, sum(u.cost) FILTER (WHERE u.day >= began_on),
                   sum(u.attempts) FILTER (WHERE u.day >= recent), sum(u.cost) FILTER (WHERE u.day >= recent),
                   sum(u.attempts) FILTER (WHERE u.day = today), sum(u.cost) FILTER (WHERE u.day = today),
                   max(u.largest_cost) FILTER (WHERE u.day >= recent)
            FROM of_usage AS u
            GROUP BY u.category
        ) AS e
        GROUP BY e.category
    )
    SELECT coalesce(sum(c.spent), 0), coalesce(sum(c.asked), 0), coalesce(sum(c.running), 0), array_agg(c.category),
           array_agg(c.running), array_agg(c.asked), array_agg(c.attempts), array_agg(c.cost), max(c.cost), min(c.cost), coalesce(bool_or(c.cost IS NOT NULL), false),
           coalesce(sum((c.running + c.asked) * c.cost), 0)
    INTO spent, asked, running, all_categories, all_running, all_asked, all_attempts, all_costs,
         highest, lowest, is_known, reserved
    FROM (
        SELECT b.category, b.asked, b.running::integer AS running, coalesce(b.spent, 0) AS spent,
               coalesce(b.attempts, 0)::bigint AS attempts,
               greatest(b.average, least(b.largest, 3 * b.average)) AS cost
        FROM by_category AS b
    ) AS c;
    -- For a category without known costs, reserve the highest cost known for others.
    FOR i IN 1..coalesce(cardinality(all_categories), 0) LOOP
        IF all_costs[i] IS NULL THEN
            reserved := reserved + (all_running[i] + all_asked[i]) * coalesce(highest, 0);
        END IF;
    END LOOP;

    fits := '{}';
    FOR i IN 1..cardinality(wanted) LOOP
        place := array_position(all_categories, wanted[i]);
        IF place IS NULL THEN
            all_categories := all_categories || wanted[i];
            all_running := all_running || 0;
            all_attempts := all_attempts || 0::bigint;
            all_costs := all_costs || NULL::numeric;
            place := cardinality(all_categories);
        END IF;
        expected := all_costs[place];
        fits[i] := spent < amount
            AND (running = 0 AND (asked = 0 OR NOT is_known)
                 OR is_known AND all_running[place] <= all_attempts[place]
                    AND spent + reserved + coalesce(expected, highest) <= amount);
        IF fits[i] THEN
            running := running + 1;
            all_running[place] := all_running[place] + 1;
            reserved := reserved + coalesce(expected, highest, 0);
        END IF;
    END LOOP;
    is_full := spent >= amount OR (running > 0 AND NOT is_known
               OR (running > 0 OR asked > 0) AND spent + reserved + lowest > amount);
    spent := trim_scale(spent);
    reserved := trim_scale(round(reserved, 12));
    expected := trim_scale(round(expected, 12));
END;
$$;

COMMENT ON FUNCTION contentq.budget_room(bigint, text, text, numeric, text[], text[]) IS
    'Internal: what is left of a budget: the cost so far, what is reserved for running tasks, and which further tasks fit.';
