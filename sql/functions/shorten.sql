-- Truncates a message to a length with a note, so that no error fills the table.
-- Called by: functions that store a text of someone else in a row. Locks: nothing.
-- Returns: the message, or its beginning with a note; NULL for NULL.
CREATE OR REPLACE FUNCTION contentq.shorten(message text, max_characters integer)
RETURNS text
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN length(shorten.message) > shorten.max_characters
            THEN format('%s ... (truncated from %s characters)',
                        left(shorten.message, shorten.max_characters), length(shorten.message))
        ELSE shorten.message
    END;
$$;

COMMENT ON FUNCTION contentq.shorten(text, integer) IS
    'Internal: the message, truncated to max_characters with a note if it is longer.';
