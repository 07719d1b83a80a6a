-- Brings blocked_accounts up to date for one account: whether claims leave it out, and until when.
-- Called by: account_changed() and record_usage(). Locks: the account's row in blocked_accounts.
-- Returns: nothing. Without a pause and with money left in its budget, an account is not held.
CREATE OR REPLACE FUNCTION contentq.block_account(account_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    paused_until timestamptz;
    monthly_budget numeric;
    over_budget_until timestamptz;
BEGIN
    SELECT a.paused_until, a.monthly_budget
    INTO paused_until, monthly_budget
    FROM public.accounts AS a
    WHERE a.id = block_account.account_id;
    IF contentq.spent_this_month(block_account.account_id) >= monthly_budget THEN
        over_budget_until := (date_trunc('month', now_ AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    END IF;
    IF greatest(paused_until, over_budget_until) > now_ THEN
        INSERT INTO contentq.blocked_accounts AS h (account_id, paused_until, over_budget_until)
        VALUES (block_account.account_id, paused_until, over_budget_until)
        ON CONFLICT ON CONSTRAINT blocked_accounts_pkey DO UPDATE
        SET paused_until = excluded.paused_until,
            over_budget_until = excluded.over_budget_until
        WHERE (h.paused_until, h.over_budget_until) IS DISTINCT FROM (excluded.paused_until, excluded.over_budget_until);
    ELSE
        DELETE FROM contentq.blocked_accounts AS h WHERE h.account_id = block_account.account_id;
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.block_account(bigint) IS
    'Internal: notes whether claims leave an account out, because it is paused or has used up its monthly budget.';
