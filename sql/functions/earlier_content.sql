-- Returns the content of an earlier attempt at a task: its id, title, body, word count and review status.
-- Called by: workers, in the statement of a claim, for each task that has content.
-- Locks: nothing. Returns: a JSON array; NULL if there is no such content, or if it belongs to another account.
-- It is a function because a statement inside it sees everything committed before it begins. claim() may return a task that
-- was sent back for a revision after the statement of the claim began, and that statement itself would not see the draft.
-- + 0: the content is found by its id, not among all contents of the account.
CREATE OR REPLACE FUNCTION contentq.earlier_content(content_id bigint, account_id bigint)
RETURNS json
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT json_build_array(c.id, c.title, c.body, c.word_count, c.review_status)
        FROM public.contents AS c
        WHERE c.id = earlier_content.content_id
          AND c.account_id + 0 = earlier_content.account_id
    );
END;
$$;

COMMENT ON FUNCTION contentq.earlier_content(bigint, bigint) IS
    'Internal: the content of an earlier attempt at a task, even if it was committed after the claim began.';
