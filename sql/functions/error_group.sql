-- Reduces an error message to its kind: the message without what differs from task to task.
-- Called by: select_tasks(), group_errors(), people. Locks: nothing.
-- Returns: the beginning of the message on one line, at most 200 characters, with # for words with digits and for uuids,
--          and <text> for quoted text; NULL for NULL.
-- It reads 500 characters, because a message can have any length. Each expression stops at the next quote or at the end of
-- a word, so no text makes it slow.
CREATE OR REPLACE FUNCTION contentq.error_group(message text)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT btrim(left(regexp_replace(regexp_replace(regexp_replace(
        left(error_group.message, 500),
        -- A group of a uuid may have no digit.
        '\m[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\M|\w*[0-9]\w*([.:,/-]\w*[0-9]\w*)*',
        '#', 'g'),
        -- A single quote, not an apostrophe.
        '"[^"]*"|`[^`]*`|(?<!\w)''[^'']*''(?!\w)|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019|\u300c[^\u300d]*\u300d'
        '|\u300e[^\u300f]*\u300f|\u300a[^\u300b]*\u300b|\u00ab[^\u00bb]*\u00bb',
        '<text>', 'g'),
        '[\x01-\x1f]+ *|  +', ' ', 'g'), 200));
$$;

COMMENT ON FUNCTION contentq.error_group(text) IS
    'An error message without what differs from task to task: quoted text, numbers and ids are replaced, so that '
    'messages of one kind are equal.';
