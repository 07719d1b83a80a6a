-- Counts the ready tasks that a claim in strict order claims before a task, by account.
-- Called by: explain_order(). categories, blocked: as in choose_in_order(). most: the maximum number of tasks to read.
-- Locks: nothing.
-- Returns: account_ids; urgent, equal: for each account, how many tasks of higher and of equal priority are ahead and may
--          start under its cap and budgets, which are checked for the 200 accounts with the most tasks; are_all: whether it
--          read all;
--          own_categories: the categories of the tasks ahead of the own account, in order, '' for none.
CREATE OR REPLACE FUNCTION contentq.explain_ahead(
    task public.content_generation_tasks,
    categories text[],
    blocked bigint[],
    most integer,
    OUT account_ids bigint[],
    OUT urgent bigint[],
    OUT equal bigint[],
    OUT are_all boolean,
    OUT own_categories text[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    by_deadline constant boolean := (SELECT s.deadlines FROM contentq.settings AS s);
    -- Without duplicates: a category named twice would be read twice.
    distinct_categories constant text[] := CASE
        WHEN explain_ahead.categories IS NOT NULL THEN ARRAY(SELECT DISTINCT unnest(explain_ahead.categories))
    END;
    priorities integer[];
    accounts bigint[];
BEGIN
    FOR round IN 1..2 LOOP
        SELECT array_agg(g.account_id), array_agg(least(g.urgent, g.room)),
               array_agg(least(g.urgent + g.equal, g.room) - least(g.urgent, g.room)),
               coalesce(sum(g.read), 0) < explain_ahead.most,
               ARRAY(SELECT jsonb_array_elements_text(min(to_jsonb(g.startable)::text) FILTER (
                   WHERE g.account_id = (task).account_id)::jsonb))
        INTO account_ids, urgent, equal, are_all, own_categories
        FROM (
            SELECT c.*,
                   CASE WHEN c.place <= 200
                        THEN (SELECT contentq.account_fits(a, c.startable)
                              FROM public.accounts AS a
                              WHERE a.id = c.account_id
                                AND (a.max_running IS NOT NULL OR contentq.has_budgets())) END AS room
            FROM (
                SELECT b.account_id, count(*) AS read,
                       count(*) FILTER (WHERE b.may_start AND b.priority > (task).priority) AS urgent,
                       count(*) FILTER (WHERE b.may_start AND b.priority = (task).priority) AS equal,
                       coalesce((array_agg(b.category ORDER BY b.priority DESC) FILTER (WHERE b.may_start))[:1000], '{}')
                           AS startable,
                       row_number() OVER (ORDER BY count(*) FILTER (WHERE b.may_start) DESC, b.account_id) AS place
                FROM contentq.explain_before(
                    task, distinct_categories, explain_ahead.blocked, by_deadline, explain_ahead.most, priorities, accounts) AS b
                GROUP BY b.account_id
            ) AS c
        ) AS g;
        EXIT WHEN are_all OR cardinality(explain_ahead.blocked) = 0 OR round = 2;

        -- Like claims, skip long runs of blocked tasks by reading only accounts that are not blocked.
        SELECT array_agg(l.priority), array_agg(l.account_id)
        INTO priorities, accounts
        FROM (
            SELECT p.priority, r.account_id
            FROM generate_series((task).priority, 10) AS p (priority)
            CROSS JOIN LATERAL contentq.ready_accounts(
                p.priority, -9223372036854775808, 1001, explain_ahead.blocked) AS r
            WHERE NOT r.is_blocked
            LIMIT 1001
        ) AS l;
        EXIT WHEN cardinality(accounts) > 1000;
        accounts := coalesce(accounts, '{}');
    END LOOP;
    account_ids := coalesce(account_ids, '{}');
    urgent := coalesce(urgent, '{}');
    equal := coalesce(equal, '{}');
END;
$$;

COMMENT ON FUNCTION contentq.explain_ahead(public.content_generation_tasks, text[], bigint[], integer) IS
    'Internal: how many ready tasks of which accounts a claim in strict order claims before a task.';
