-- Explains why a waiting task is not running: its own state, its account, the workers, and the tasks ahead of it.
-- Called by: explain(). Locks: nothing. Returns: one line for each reason; only "ready: ..." if the next claim claims it.
--
-- Each condition is a function that claim() also calls: is_ready(), left_out_accounts(), account_room(), budget_room(),
-- open_categories(), worker_wait() and what it calls, median_duration(), ready_accounts(), fair_accounts(), fair_quotas(),
-- aged_tasks(). The tasks ahead depend on the categories of the claiming worker. They are counted for each list of
-- categories of live workers, five at most, and reported for the one with the fewest tasks ahead. It reads 10,000 tasks at
-- most. Rows that the caller may not see do not count.
CREATE OR REPLACE FUNCTION contentq.explain_waiting(task public.content_generation_tasks)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most_read constant integer := 10000;
    most_lists constant integer := 5;
    blocked constant bigint[] := contentq.left_out_accounts();
    is_fair constant boolean := (SELECT s.claim_order = 'fair' FROM contentq.settings AS s);
    -- Categories that a budget of all accounts blocks, except the task's own category.
    blocked_categories constant text[] := ARRAY(
        SELECT DISTINCT b.category
        FROM contentq.budgets AS b
        WHERE b.account_id IS NULL
          AND b.category <> left(coalesce((task).category, ''), 200)
          AND contentq.budget_holds(NULL, b.category)
    );
    account public.accounts;
    claimer contentq.workers;
    lines text[];
    fleet record;
    each record;
    place record;
    best record;
    ids bigint[];
BEGIN
    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = (task).account_id;
    SELECT w.* INTO fleet FROM contentq.explain_workers((task).category) AS w;
    lines := ARRAY(SELECT o.line FROM contentq.explain_own(task) AS o (line))
        || ARRAY(SELECT o.line FROM contentq.explain_account(
            account, blocked, left(coalesce((task).category, ''), 200),
            (task).handler_state IS NOT NULL
            AND contentq.has_answer((task).id::bigint, (task).status, (task).handler_state)) AS o (line))
        || fleet.lines;

    IF coalesce((task).scheduled_at <= clock_timestamp(), true) THEN
        FOR each IN
            SELECT l.worker, l.ids, least(count(*) OVER (), most_lists)::integer AS lists
            FROM (
                SELECT (array_agg(w.worker ORDER BY w.place))[1] AS worker,
                       array_agg((w.worker).id ORDER BY w.place) AS ids, min(w.place) AS place
                FROM (
                    SELECT fleet.workers[i.place] AS worker, i.place
                    FROM generate_series(1, greatest(cardinality(fleet.workers), 1)) AS i (place)
                ) AS w
                -- In fair order, each worker continues with the account after the last one it considered.
                GROUP BY (w.worker).categories, CASE WHEN is_fair THEN (w.worker).id END
            ) AS l
            ORDER BY l.place
            LIMIT most_lists
        LOOP
            claimer := each.worker;
            claimer.categories := contentq.open_categories(claimer.categories, blocked_categories);
            SELECT o.*
            INTO place
            FROM contentq.explain_order(
                task, claimer, array_remove(blocked, account.id::bigint), most_read / each.lists, fleet.slots, fleet.busy,
                fleet.pace) AS o;
            IF ids IS NULL THEN
                best := place;
                ids := each.ids;
            ELSIF place.is_next AND NOT best.is_next OR place.is_next = best.is_next AND place.ahead < best.ahead THEN
                best := place;
                ids := each.ids;
            ELSIF place.is_next AND best.is_next THEN
                ids := ids || each.ids;
            END IF;
        END LOOP;
        lines := lines || best.lines;
    END IF;

    IF cardinality(lines) = 0 THEN
        lines := ARRAY[format('ready: worker %s will claim it next',
                              array_to_string(ids[:3], ' or ')
                              || CASE WHEN cardinality(ids) > 3 THEN format(' or %s more', cardinality(ids) - 3)
                                      ELSE '' END)];
    END IF;
    IF row_security_active('public.content_generation_tasks') AND NOT EXISTS (
        SELECT
        FROM pg_roles AS r
        WHERE r.rolname IN ('contentq_operator', 'contentq_worker', 'contentq_definer')
          AND pg_has_role(r.oid, 'USAGE'))
    THEN
        lines := lines || text 'rows that you may not see, such as tasks of other accounts, are not counted here';
    END IF;
    RETURN QUERY SELECT u.line FROM unnest(lines) AS u (line);
END;
$$;

COMMENT ON FUNCTION contentq.explain_waiting(public.content_generation_tasks) IS
    'Internal: why a waiting task is not running, one line for each reason.';
