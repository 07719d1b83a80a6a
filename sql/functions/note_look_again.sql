-- Tells next_claim_in() in the same statement whether a claim may have missed tasks that are about to be committed.
-- Called by: claim(). Locks: nothing. Returns: nothing.
-- The setting lasts until the end of the transaction, which for a worker is the statement.
CREATE OR REPLACE FUNCTION contentq.note_look_again(look_again boolean)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF note_look_again.look_again THEN
        PERFORM set_config('contentq.look_again', 'yes', true);
    ELSIF current_setting('contentq.look_again', true) <> '' THEN
        PERFORM set_config('contentq.look_again', '', true);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.note_look_again(boolean) IS
    'Internal: tells next_claim_in() in the same transaction whether to claim again in a moment.';
