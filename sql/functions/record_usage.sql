-- Adds what attempts have cost to the usage of their accounts.
-- Called by: complete() and store(), with the results; workers, in one statement with fail() and snooze(), for
--            attempts that have cost something all the same.
-- Each usage is a JSON object as text; of its members model (text), prompt_tokens, completion_tokens and cost
-- (numbers) count, and one that has neither tokens nor a cost counts for nothing.
-- Locks: rows of usage in the order of their key. Each worker has a shard of its own, one of sixteen, so that workers
--        do not wait for one another. Then, for accounts with a budget, one of 256 advisory locks each, in their order
--        and until the end of the transaction, so that of two reports at once the second sees what the first has spent.
-- Returns: nothing. Days begin at midnight UTC.
CREATE OR REPLACE FUNCTION contentq.record_usage(worker_id bigint, ids bigint[], usages text[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    charged bigint[];
    charged_account bigint;
BEGIN
    WITH added AS (
        INSERT INTO contentq.usage AS u
            (account_id, day, model, shard, attempts, prompt_tokens, completion_tokens, cost)
        SELECT s.account_id,
               (clock_timestamp() AT TIME ZONE 'UTC')::date,
               s.model,
               coalesce(record_usage.worker_id, 0) % 16,
               count(*),
               sum(s.prompt_tokens),
               sum(s.completion_tokens),
               sum(s.cost)
        FROM (
            SELECT t.account_id,
                   coalesce(nullif(left(r.usage->>'model', 200), ''), 'unknown') AS model,
                   trunc(contentq.usage_amount(r.usage->'prompt_tokens')) AS prompt_tokens,
                   trunc(contentq.usage_amount(r.usage->'completion_tokens')) AS completion_tokens,
                   contentq.usage_amount(r.usage->'cost') AS cost
            FROM (
                SELECT n.id, n.usage::jsonb AS usage
                FROM unnest(record_usage.ids, record_usage.usages) AS n (id, usage)
                WHERE n.usage IS NOT NULL
            ) AS r
            JOIN public.content_generation_tasks AS t ON t.id = r.id
            WHERE jsonb_typeof(r.usage) = 'object'
        ) AS s
        WHERE s.prompt_tokens > 0 OR s.completion_tokens > 0 OR s.cost > 0
        GROUP BY s.account_id, s.model
        ORDER BY s.account_id, s.model
        ON CONFLICT ON CONSTRAINT usage_pkey DO UPDATE
        SET attempts = u.attempts + excluded.attempts,
            prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = u.completion_tokens + excluded.completion_tokens,
            cost = u.cost + excluded.cost
        RETURNING u.account_id
    )
    SELECT array_agg(a.account_id) INTO charged FROM added AS a;

    IF charged IS NULL THEN
        RETURN;
    END IF;
    charged := ARRAY(
        SELECT a.id
        FROM public.accounts AS a
        WHERE a.id = ANY (charged)
          AND a.monthly_budget IS NOT NULL
        ORDER BY a.id
    );
    PERFORM pg_advisory_xact_lock(hashtextextended('contentq.budget', l.number))
    FROM (
        SELECT DISTINCT c.id % 256 AS number
        FROM unnest(charged) AS c (id)
        ORDER BY number
        OFFSET 0
    ) AS l;
    FOREACH charged_account IN ARRAY charged LOOP
        PERFORM contentq.block_account(charged_account);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.record_usage(bigint, bigint[], text[]) IS
    'Adds what attempts at these tasks have cost to the usage of their accounts: JSON objects as text with model, '
    'prompt_tokens, completion_tokens and cost. complete() and store() do it with the results by themselves.';
