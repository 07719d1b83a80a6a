-- Keeps blocked_accounts, the view that claims read, in step with the pauses and budgets in accounts.
-- Called by: the triggers accounts_blocked_... of accounts, at the commit, so that an operator's open transaction keeps no
--            worker from reporting; only when a pause or a budget was set, changed or removed, so that programs that
--            change other columns need no right on schema contentq.
-- Locks: as block_account(). Returns: NULL (it is ignored).
CREATE OR REPLACE FUNCTION contentq.account_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM contentq.account_pauses;
        DELETE FROM contentq.used_up_budgets;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM contentq.block_account(OLD.id);
    END IF;
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
        PERFORM contentq.block_account(NEW.id);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.account_changed() IS
    'Trigger: makes claims leave out accounts that are paused or have used up their budget.';
