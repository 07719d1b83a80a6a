-- Sets what attempts may cost in a day or a month (UTC): for an account, a category, both, or all together.
-- Called by: operators. account_id, category: NULL for all. amount: NULL removes the budget (see unset_budget()).
-- Locks: the row of the budget. Returns: nothing.
-- The monthly budget of an account without a category is accounts.monthly_budget, which a plain UPDATE can also set.
-- Raises: 23503 if the account does not exist; 23514 if amount, period or category is invalid.
CREATE OR REPLACE FUNCTION contentq.set_budget(
    amount numeric,
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    period text DEFAULT 'month'
)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
BEGIN
    IF set_budget.amount IS NULL THEN
        PERFORM contentq.unset_budget(set_budget.account_id, set_budget.category, set_budget.period);
        RETURN;
    END IF;
    IF set_budget.account_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM public.accounts AS a WHERE a.id = set_budget.account_id)
    THEN
        RAISE EXCEPTION 'there is no account %', set_budget.account_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF set_budget.account_id IS NOT NULL AND set_budget.category IS NULL AND set_budget.period = 'month' THEN
        UPDATE public.accounts AS a
        SET monthly_budget = set_budget.amount
        WHERE a.id = set_budget.account_id;
    ELSE
        INSERT INTO contentq.budgets AS b (account_id, category, period, amount)
        VALUES (set_budget.account_id, set_budget.category, set_budget.period, set_budget.amount)
        ON CONFLICT ON CONSTRAINT budgets_account_id_category_period_key DO UPDATE
        SET amount = excluded.amount;
    END IF;
    -- Waiting tasks may now be allowed to start.
    PERFORM contentq.notify_ready();
END;
$$;

COMMENT ON FUNCTION contentq.set_budget(numeric, bigint, text, text) IS
    'Sets what attempts may cost in a day or a month (UTC): for an account, a category, both, or all together (NULL).';
