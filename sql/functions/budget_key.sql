-- Names an account together with a category: a budget may be of both.
-- Called by: choose_ready() and the functions that choose. Locks: nothing. Returns: a text.
-- Like is_held() without a search_path of its own.
CREATE OR REPLACE FUNCTION contentq.budget_key(account_id bigint, category text)
RETURNS text
LANGUAGE sql
IMMUTABLE
RETURN account_id || ':' || left(coalesce(category, ''), 200);

COMMENT ON FUNCTION contentq.budget_key(bigint, text) IS
    'Internal: an account together with a category, as one text.';
