-- Explains which budgets allow no further task of an account in a category to start.
-- Called by: explain_account(). category: '' for none. Locks: nothing. Returns: one line for each budget.
CREATE OR REPLACE FUNCTION contentq.explain_budgets(account_id bigint, category text)
RETURNS SETOF text
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format(
        CASE
            WHEN r.spent >= r.amount
            THEN '%1$s is used up: %2$s of %3$s is spent; tasks start again at %4$s, or when the budget is raised: %5$s'
            WHEN r.expected IS NULL
            THEN '%1$s allows one task at a time until the cost of a task %9$s is known: %2$s of %3$s is spent, '
                 '%6$s is reserved, and %7$s; to raise the budget: %5$s'
            WHEN r.spent + r.reserved + r.expected <= r.amount
            THEN '%1$s allows no more running tasks %9$s than there were attempts in the last 7 days: %7$s; the next one '
                 'starts when one has ended, or when the budget is removed: %5$s'
            ELSE '%1$s has no room for another task now: %2$s of %3$s is spent, %6$s is reserved (%7$s), and another task is '
                 'expected to cost %8$s; it starts when one has ended and cost less, or when the budget is raised: %5$s'
        END,
        concat_ws(' ',
            CASE WHEN r.of_account_id IS NULL THEN 'the budget of all accounts'
                 ELSE format('the budget of account %s', r.of_account_id) END,
            CASE WHEN r.of_category IS NOT NULL THEN format('for category %L', r.of_category) END,
            CASE r.period WHEN 'day' THEN 'for today' ELSE 'for this month' END),
        contentq.budget_cost(r.spent, r.amount),
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
        contentq.budget_cost(r.reserved, r.amount),
        format(CASE r.running WHEN 1 THEN '%s task is running' ELSE '%s tasks are running' END, r.running),
        contentq.budget_cost(r.expected, r.amount),
        CASE WHEN explain_budgets.category <> '' THEN format('of category %L', explain_budgets.category)
             ELSE 'without a category' END
    )
    FROM contentq.budget_refusals(explain_budgets.account_id, explain_budgets.category) AS r
    ORDER BY r.of_account_id NULLS LAST, r.of_category NULLS FIRST, r.period;
$$;

COMMENT ON FUNCTION contentq.explain_budgets(bigint, text) IS
    'Internal: the budgets that allow no further task of an account in a category to start, one line for each.';
