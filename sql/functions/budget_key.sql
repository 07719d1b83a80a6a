-- Combines an account and a category into one key; a budget may apply to both.
-- Called by: choose_ready() and the functions that choose tasks. Locks: nothing. Returns: the key as text.
-- Like is_held(), it sets no search_path.
CREATE OR REPLACE FUNCTION contentq.budget_key(account_id bigint, category text)
RETURNS text
LANGUAGE sql
IMMUTABLE
RETURN account_id || ':' || left(coalesce(category, ''), 200);

COMMENT ON FUNCTION contentq.budget_key(bigint, text) IS
    'Internal: an account and a category as one text key.';
