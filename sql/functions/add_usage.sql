-- Adds the cost of attempts to the usage of their accounts.
-- Called by: complete() and store(), with the results, and record_usage().
-- account_ids, categories: for tasks that may have been deleted since. usages: JSON objects as text. Their members model
-- (text), prompt_tokens, completion_tokens and cost (numbers) count. A usage with neither tokens nor a cost is ignored,
-- except for a completed task that counts against a budget: it shows that such a task costs nothing (see budget_room()).
-- Locks: rows of usage; it skips rows that other sessions have locked, so it never waits. If no row of an account, day,
--        model and category is free, it adds one. Returns: the number of tokens. Days begin at midnight UTC.
-- Handlers name the models. After 100 models of an account on a day, new ones are counted as other (see cap_models()).
-- Budgets are checked when a task is about to start (see admit()).
CREATE OR REPLACE FUNCTION contentq.add_usage(
    ids bigint[],
    usages text[],
    account_ids bigint[] DEFAULT NULL,
    categories text[] DEFAULT NULL
)
RETURNS numeric
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    today constant date := (now_ AT TIME ZONE 'UTC')::date;
    is_counted constant boolean := contentq.has_budgets();
    all_accounts bigint[];
    all_models text[];
    all_categories text[];
    all_attempts bigint[];
    all_prompt_tokens bigint[];
    all_completion_tokens bigint[];
    all_costs numeric[];
    all_largest numeric[];
    -- The rows of usage to add to; NULL for a new one.
    all_rows bigint[];
    capped_models text[];
    is_capped boolean := false;
BEGIN
    SELECT array_agg(c.account_id), array_agg(c.model), array_agg(c.category), array_agg(c.attempts),
           array_agg(c.prompt_tokens), array_agg(c.completion_tokens), array_agg(c.cost), array_agg(c.largest)
    INTO all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs,
         all_largest
    FROM (
        SELECT s.account_id,
               s.model,
               s.category,
               count(*) AS attempts,
               sum(s.prompt_tokens) AS prompt_tokens,
               sum(s.completion_tokens) AS completion_tokens,
               sum(s.cost) AS cost,
               max(s.cost) AS largest
        FROM (
            SELECT coalesce(t.account_id, r.account_id) AS account_id,
                   left(coalesce(t.category, r.category, ''), 200) AS category,
                   is_counted AND t.status = 'completed' AND EXISTS (
                       SELECT FROM contentq.budgets_of(t.account_id, left(coalesce(t.category, ''), 200))
                   ) AS is_counted,
                   coalesce(nullif(left(r.usage->>'model', 200), ''), 'unknown') AS model,
                   trunc(contentq.usage_amount(r.usage->'prompt_tokens')) AS prompt_tokens,
                   trunc(contentq.usage_amount(r.usage->'completion_tokens')) AS completion_tokens,
                   contentq.usage_amount(r.usage->'cost') AS cost
            FROM (
                SELECT n.id, coalesce(n.usage::jsonb, '{}') AS usage, n.account_id, n.category
                FROM unnest(add_usage.ids, add_usage.usages, add_usage.account_ids, add_usage.categories)
                    AS n (id, usage, account_id, category)
                WHERE n.usage IS NOT NULL
                   OR is_counted
            ) AS r
            LEFT JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
            WHERE jsonb_typeof(r.usage) = 'object'
               OR is_counted
        ) AS s
        WHERE s.account_id IS NOT NULL
          AND (s.prompt_tokens > 0 OR s.completion_tokens > 0 OR s.cost > 0 OR s.is_counted)
        GROUP BY s.account_id, s.model, s.category
    ) AS c;
    IF all_accounts IS NULL THEN
        RETURN 0;
    END IF;

    LOOP
        SELECT array_agg(f.id ORDER BY f.place)
        INTO all_rows
        FROM (
            SELECT c.place, (
                SELECT u.id
                FROM contentq.usage AS u
                WHERE u.account_id = c.account_id
                  AND u.day = today
                  AND u.model = c.model
                  AND u.category = c.category
                LIMIT 1
                FOR NO KEY UPDATE SKIP LOCKED
            ) AS id
            FROM unnest(all_accounts, all_models, all_categories) WITH ORDINALITY AS c (account_id, model, category, place)
        ) AS f;
        EXIT WHEN is_capped OR array_position(all_rows, NULL) IS NULL;

        -- New rows.
        is_capped := true;
        capped_models := contentq.cap_models(all_accounts, all_models, today);
        EXIT WHEN capped_models = all_models;
        SELECT array_agg(c.account_id), array_agg(c.model), array_agg(c.category), array_agg(c.attempts),
               array_agg(c.prompt_tokens), array_agg(c.completion_tokens), array_agg(c.cost), array_agg(c.largest)
        INTO all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs,
             all_largest
        FROM (
            SELECT n.account_id,
                   n.model,
                   n.category,
                   sum(n.attempts)::bigint AS attempts,
                   sum(n.prompt_tokens) AS prompt_tokens,
                   sum(n.completion_tokens) AS completion_tokens,
                   sum(n.cost) AS cost,
                   max(n.largest) AS largest
            FROM unnest(all_accounts, capped_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens,
                        all_costs, all_largest)
                AS n (account_id, model, category, attempts, prompt_tokens, completion_tokens, cost, largest)
            GROUP BY n.account_id, n.model, n.category
        ) AS c;
    END LOOP;

    UPDATE contentq.usage AS u
    SET attempts = u.attempts + c.attempts,
        prompt_tokens = u.prompt_tokens + c.prompt_tokens,
        completion_tokens = u.completion_tokens + c.completion_tokens,
        cost = u.cost + c.cost,
        largest_cost = greatest(u.largest_cost, c.largest)
    FROM unnest(all_rows, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs, all_largest)
        AS c (id, attempts, prompt_tokens, completion_tokens, cost, largest)
    WHERE u.id = c.id;

    INSERT INTO contentq.usage (account_id, day, model, category, attempts, prompt_tokens, completion_tokens, cost, largest_cost)
    SELECT c.account_id, today, c.model, c.category, c.attempts, c.prompt_tokens, c.completion_tokens, c.cost, c.largest
    FROM unnest(all_rows, all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens,
                all_costs, all_largest)
        AS c (id, account_id, model, category, attempts, prompt_tokens, completion_tokens, cost, largest)
    WHERE c.id IS NULL;
    RETURN (SELECT sum(n.tokens) FROM unnest(all_prompt_tokens || all_completion_tokens) AS n (tokens));
END;
$$;

COMMENT ON FUNCTION contentq.add_usage(bigint[], text[], bigint[], text[]) IS
    'Internal: adds the cost of attempts at these tasks to the usage of their accounts; returns their tokens.';
