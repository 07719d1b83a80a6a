-- Brings what claims read up to date for one account: whether they leave it out, and until when.
-- Called by: account_changed(), and migrate for accounts that are there already.
-- Locks: the account's row in account_pauses. Returns: nothing.
-- The budget is looked at again by maintain(), since a report that is committed at the same time does not see the new one.
CREATE OR REPLACE FUNCTION contentq.block_account(account_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    paused_until timestamptz;
BEGIN
    SELECT a.paused_until INTO paused_until FROM public.accounts AS a WHERE a.id = block_account.account_id;

    IF paused_until > clock_timestamp() THEN
        INSERT INTO contentq.account_pauses AS p (account_id, paused_until)
        VALUES (block_account.account_id, paused_until)
        ON CONFLICT ON CONSTRAINT account_pauses_pkey DO UPDATE
        SET paused_until = excluded.paused_until;
    ELSE
        DELETE FROM contentq.account_pauses AS p WHERE p.account_id = block_account.account_id;
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;

    PERFORM contentq.check_budget(block_account.account_id);
    INSERT INTO contentq.budget_checks (account_id) VALUES (block_account.account_id);
END;
$$;

COMMENT ON FUNCTION contentq.block_account(bigint) IS
    'Internal: notes whether claims leave an account out, because it is paused or has used up its monthly budget.';
