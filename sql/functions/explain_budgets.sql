-- Tells which budgets let no further task of an account and a category start.
-- Called by: explain_account(). category: '' for none. Locks: nothing. Returns: a line for each.
CREATE OR REPLACE FUNCTION contentq.explain_budgets(account_id bigint, category text)
RETURNS SETOF text
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format(
        CASE
            WHEN r.spent >= r.amount
            THEN '%1$s is used up: %2$s of %3$s; it goes on %4$s, or when the budget is raised: %5$s'
            WHEN r.expected IS NULL
            THEN '%1$s lets one task at a time start until it is known what a task %9$s costs: %2$s of %3$s is spent, '
                 '%6$s reserved, and %7$s; for more: %5$s'
            WHEN r.spent + r.reserved + r.expected <= r.amount
            THEN '%1$s lets no more tasks %9$s run than attempts are known of the last 7 days: %7$s; it goes on when one '
                 'has ended, or when the budget is taken away: %5$s'
            ELSE '%1$s has no room for one more now: %2$s of %3$s is spent, %6$s reserved (%7$s), and one more is expected '
                 'to cost %8$s; it goes on when one has ended and cost less, or when the budget is raised: %5$s'
        END,
        concat_ws(' ',
            CASE WHEN r.of_account_id IS NULL THEN 'the budget of all accounts'
                 ELSE format('the budget of account %s', r.of_account_id) END,
            CASE WHEN r.of_category IS NOT NULL THEN format('for category %L', r.of_category) END,
            CASE r.period WHEN 'day' THEN 'for this day' ELSE 'for this month' END),
        round(r.spent, 4),
        r.amount,
        contentq.budget_end(r.period),
        CASE
            WHEN r.of_account_id IS NOT NULL AND r.of_category IS NULL AND r.period = 'month'
            THEN format('contentq accounts set %s --monthly-budget AMOUNT', r.of_account_id)
            ELSE concat_ws(' ', 'contentq budgets set AMOUNT',
                           CASE WHEN r.of_account_id IS NOT NULL THEN format('--account %s', r.of_account_id) END,
                           CASE WHEN r.of_category IS NOT NULL THEN format('--category %L', r.of_category) END,
                           CASE WHEN r.of_account_id IS NULL AND r.of_category IS NULL THEN '--all' END,
                           format('--period %s', r.period))
        END,
        round(r.reserved, 4),
        format(CASE r.running WHEN 1 THEN '%s task runs' ELSE '%s tasks run' END, r.running),
        round(r.expected, 4),
        CASE WHEN explain_budgets.category <> '' THEN format('of category %L', explain_budgets.category)
             ELSE 'without a category' END
    )
    FROM contentq.budget_refusals(explain_budgets.account_id, explain_budgets.category) AS r
    ORDER BY r.of_account_id NULLS LAST, r.of_category NULLS FIRST, r.period;
$$;

COMMENT ON FUNCTION contentq.explain_budgets(bigint, text) IS
    'Internal: the budgets that let no further task of an account and a category start, a line for each.';
