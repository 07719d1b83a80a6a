-- Says whether a task is of one of the categories that are looked for.
-- Called by: the functions that choose. categories: NULL for all; with NULL among them, also those without a category.
-- Locks: nothing. Returns: true or false. Like is_held() without a search_path of its own.
CREATE OR REPLACE FUNCTION contentq.is_of(category text, categories text[])
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN CASE WHEN categories IS NULL THEN true
            WHEN category IS NULL THEN array_position(categories, NULL) IS NOT NULL
            ELSE coalesce(category = ANY (categories), false) END;

COMMENT ON FUNCTION contentq.is_of(text, text[]) IS
    'Internal: whether a task is of one of these categories; NULL among them: also without a category.';
