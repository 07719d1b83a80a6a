-- Checks whether a task has one of the requested categories.
-- Called by: the functions that choose tasks. categories: NULL for all; a NULL element stands for tasks without a category.
-- Locks: nothing. Returns: true or false. Like is_held(), it sets no search_path.
CREATE OR REPLACE FUNCTION contentq.is_of(category text, categories text[])
RETURNS boolean
LANGUAGE sql
IMMUTABLE
RETURN CASE WHEN categories IS NULL THEN true
            WHEN category IS NULL THEN array_position(categories, NULL) IS NOT NULL
            ELSE coalesce(category = ANY (categories), false) END;

COMMENT ON FUNCTION contentq.is_of(text, text[]) IS
    'Internal: whether a task has one of these categories; a NULL element stands for tasks without a category.';
