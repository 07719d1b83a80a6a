-- Records which budgets are near their end or used up, and notifies once for each.
-- Called by: maintain(). Locks: rows of budget_events, for which only maintain() competes.
-- Returns: one line for each budget that came near its end or was used up since the last call. Channel contentq_budgets is
--          notified once for all of them, without a payload; contentq.budget_status has the current values.
-- Each budget is reported once in its day or month. A budget whose amount changed is reported again.
CREATE OR REPLACE FUNCTION contentq.note_budgets()
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    warning constant numeric := (SELECT s.budget_warning FROM contentq.settings AS s);
    each record;
    is_noted boolean := false;
BEGIN
    DELETE FROM contentq.budget_events AS e
    WHERE e.began_on <> contentq.budget_start(e.period);
    FOR each IN
        SELECT b.*, s.spent, e.id, e.amount AS amount_then, e.used_up_at, s.spent >= b.amount AS is_used_up
        FROM (
            SELECT a.id::bigint AS account_id, NULL::text AS category, 'month' AS period, a.monthly_budget AS amount
            FROM public.accounts AS a
            WHERE a.monthly_budget IS NOT NULL
            UNION ALL
            SELECT g.account_id, g.category, g.period, g.amount
            FROM contentq.budgets AS g
        ) AS b
        CROSS JOIN LATERAL contentq.budget_spent(b.account_id, b.category, b.period) AS s (spent)
        LEFT JOIN contentq.budget_events AS e
            ON e.account_id IS NOT DISTINCT FROM b.account_id
            AND e.category IS NOT DISTINCT FROM b.category
            AND e.period = b.period
        WHERE s.spent >= b.amount * least(coalesce(warning, 1), 1)
          AND (e.id IS NULL OR e.amount <> b.amount OR s.spent >= b.amount AND e.used_up_at IS NULL)
        ORDER BY b.account_id, b.category, b.period
    LOOP
        is_noted := true;
        IF each.id IS NOT NULL AND each.amount_then = each.amount THEN
            UPDATE contentq.budget_events AS e SET used_up_at = clock_timestamp() WHERE e.id = each.id;
        ELSE
            DELETE FROM contentq.budget_events AS e WHERE e.id = each.id;
            INSERT INTO contentq.budget_events (account_id, category, period, began_on, amount, near_at, used_up_at)
            VALUES (each.account_id, each.category, each.period, contentq.budget_start(each.period), each.amount,
                    clock_timestamp(), CASE WHEN each.is_used_up THEN clock_timestamp() END);
        END IF;
        RETURN NEXT format('the budget of %s%s for %s %s: %s of %s',
                           coalesce('account ' || each.account_id, 'all accounts'),
                           ' for category ' || quote_literal(each.category),
                           CASE each.period WHEN 'day' THEN 'today' ELSE 'this month' END,
                           CASE WHEN each.is_used_up THEN 'is used up'
                                ELSE format('has passed %s %%', trim_scale(100 * warning)) END,
                           contentq.budget_cost(each.spent, each.amount), each.amount);
    END LOOP;
    IF is_noted AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_budgets', '');
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.note_budgets() IS
    'Internal: records which budgets are near their end or used up, and notifies contentq_budgets once for each.';
