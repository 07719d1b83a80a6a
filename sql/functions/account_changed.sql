-- Keeps held_accounts, which claims read, in step with the pauses and budgets in accounts.
-- Called by: the trigger accounts_held, only when paused_until or monthly_budget has changed or was set.
-- Locks: as hold_account(). Returns: NULL (it is ignored).
CREATE OR REPLACE FUNCTION contentq.account_changed()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM contentq.hold_account(OLD.id::integer);
    ELSE
        PERFORM contentq.hold_account(NEW.id::integer);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.account_changed() IS
    'Trigger: makes claims leave out accounts that are paused or have used up their budget.';
