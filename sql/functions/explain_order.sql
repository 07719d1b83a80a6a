-- Explains what comes before a ready task on a worker.
-- Called by: explain_waiting(). blocked: blocked accounts. most: the maximum number of tasks to read.
-- slots, busy: those of all workers that claim its category. pace: tasks a second that their gates allow; NULL for no
-- limit.
-- Locks: nothing. Returns: ahead: how many tasks come before it; is_next: whether it is next; lines: one line for each
--                          reason why it is not.
CREATE OR REPLACE FUNCTION contentq.explain_order(
    task public.content_generation_tasks,
    worker contentq.workers,
    blocked bigint[],
    most integer,
    slots bigint,
    busy bigint,
    pace float8,
    OUT ahead bigint,
    OUT is_next boolean,
    OUT lines text[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    settings contentq.settings;
    account public.accounts;
    found record;
    own record;
    fair record;
    aging record;
    room integer;
    due integer;
    in_order text;
BEGIN
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;
    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = (task).account_id;
    lines := '{}';
    SELECT e.* INTO found FROM contentq.explain_ahead(task, (worker).categories, explain_order.blocked, explain_order.most) AS e;
    SELECT coalesce(sum(u.urgent), 0)::bigint AS urgent, coalesce(sum(u.equal), 0)::bigint AS equal
    INTO own
    FROM unnest(found.account_ids, found.urgent, found.equal) AS u (account_id, urgent, equal)
    WHERE u.account_id = account.id;

    -- In fair order, only tasks of a higher priority are ahead of it whatever their account.
    SELECT coalesce(sum(n.number), 0),
           CASE
               WHEN count(*) = 1 THEN format(', of account %s', min(n.account_id))
               ELSE ': ' || string_agg(format('%s of account %s', n.number, n.account_id), ', ' ORDER BY n.place)
                                FILTER (WHERE n.place <= 3)
                    || CASE WHEN count(*) > 3
                            THEN format(', %s of other accounts', sum(n.number) FILTER (WHERE n.place > 3)) ELSE '' END
           END
    INTO ahead, in_order
    FROM (
        SELECT l.account_id, l.number, row_number() OVER (ORDER BY l.number DESC, l.account_id) AS place
        FROM (
            SELECT u.account_id, u.urgent + CASE settings.claim_order WHEN 'fair' THEN 0 ELSE u.equal END AS number
            FROM unnest(found.account_ids, found.urgent, found.equal) AS u (account_id, urgent, equal)
        ) AS l
        WHERE l.number > 0
    ) AS n;
    IF ahead > 0 OR NOT found.are_all AND settings.claim_order <> 'fair' THEN
        lines := lines || (
            format('%s%s ahead of it%s (%s)%s', ahead,
                   CASE WHEN NOT found.are_all THEN ' or more ready tasks are'
                        WHEN ahead = 1 THEN ' ready task is' ELSE ' ready tasks are' END,
                   CASE WHEN array_position((worker).categories, NULL) IS NULL
                        THEN ' in categories '
                             || (SELECT string_agg(DISTINCT c.category, ', ') FROM unnest((worker).categories) AS c (category))
                   END,
                   CASE WHEN settings.claim_order = 'fair' THEN 'by priority'
                        WHEN settings.deadlines THEN 'by priority, then the deadline, then submitted_at'
                        ELSE 'by priority, then submitted_at' END,
                   in_order)
            || CASE WHEN explain_order.pace IS NULL THEN ''
                    ELSE format('; at %s a second, its turn comes in about %s%s',
                                round(explain_order.pace::numeric, CASE WHEN explain_order.pace < 10 THEN 2 ELSE 1 END),
                                contentq.rough_duration((ahead + 1) / explain_order.pace),
                                CASE WHEN found.are_all THEN '' ELSE ' or more' END) END
        );
    END IF;
    is_next := ahead = 0 AND found.are_all;

    room := contentq.account_room(account);
    IF room > 0 AND own.urgent + own.equal >= room THEN
        is_next := false;
        -- An aged task may get the room before them (see explain_aging()).
        IF coalesce((task).submitted_at >= clock_timestamp() - settings.aging, true) THEN
            lines := lines || format(
                'account %s may start %s more (max_running %s), and its own tasks ahead of this one come first; to raise the '
                'cap: contentq accounts set %s --max-running %s', account.id, room, account.max_running, account.id,
                account.max_running + 1);
        END IF;
    ELSIF cardinality(found.own_categories) > 0
        AND contentq.account_fits(account, found.own_categories || left(coalesce((task).category, ''), 200))
            = contentq.account_fits(account, found.own_categories)
    THEN
        is_next := false;
        IF coalesce((task).submitted_at >= clock_timestamp() - settings.aging, true) THEN
            lines := lines || format(
                'the budgets of account %s have room only for its own tasks ahead of this one; see contentq.budget_status',
                account.id);
        END IF;
    END IF;

    IF settings.claim_order = 'fair' THEN
        SELECT f.*
        INTO fair
        FROM contentq.explain_fair(
            task, worker, explain_order.blocked, own.equal, explain_order.slots, explain_order.busy) AS f;
        IF NOT fair.is_first THEN
            lines := lines || fair.line;
        END IF;
        is_next := is_next AND fair.is_first;
        ahead := ahead + own.equal + CASE WHEN fair.is_first THEN 0 ELSE 1 END;
    END IF;

    IF settings.aging IS NOT NULL THEN
        SELECT a.* INTO aging FROM contentq.explain_aging(task, (worker).categories, explain_order.blocked) AS a;
        IF NOT is_next OR NOT aging.is_first THEN
            lines := array_append(lines, aging.line);
        END IF;
        is_next := is_next AND aging.is_first;
    END IF;

    -- The next claim makes due tasks ready; their places are known only then.
    IF settings.claim_order = 'fair' OR settings.aging IS NOT NULL THEN
        SELECT count(*)
        INTO due
        FROM (
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NOT NULL
              AND t.scheduled_at <= (SELECT clock_timestamp())
            ORDER BY t.scheduled_at
            LIMIT 1000
        ) AS d;
        IF due > 0 THEN
            is_next := false;
            lines := lines || format('%s%s due and will be ready at the next claim%s', due,
                                     CASE WHEN due = 1000 THEN ' or more tasks are' WHEN due = 1 THEN ' task is'
                                          ELSE ' tasks are' END,
                                     CASE WHEN (task).scheduled_at IS NULL THEN ', perhaps ahead of it' ELSE '' END);
        END IF;
    END IF;
    lines := array_remove(lines, NULL);
END;
$$;

COMMENT ON FUNCTION contentq.explain_order(
    public.content_generation_tasks, contentq.workers, bigint[], integer, bigint, bigint, float8) IS
    'Internal: what comes before a ready task on a worker.';
