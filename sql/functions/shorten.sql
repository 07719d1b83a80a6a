-- Cuts a message to a length and says so, so that no error fills the table.
-- Called by: whoever writes a text of others into a row. Locks: nothing.
-- Returns: the message, or its beginning with a note; NULL for NULL.
CREATE OR REPLACE FUNCTION contentq.shorten(message text, max_characters integer)
RETURNS text
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN length(shorten.message) > shorten.max_characters
            THEN format('%s ... (cut: %s characters in all)',
                        left(shorten.message, shorten.max_characters), length(shorten.message))
        ELSE shorten.message
    END;
$$;

COMMENT ON FUNCTION contentq.shorten(text, integer) IS
    'Internal: the message, cut to max_characters with a note when it is longer.';
