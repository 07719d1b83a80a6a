-- Says whether answers of batches wait for tasks that collect them, which no budget keeps.
-- Called by: over_budget(), budget_holds(). account_id: NULL for any. Locks: nothing. Returns: true or false.
-- Like is_held() without a search_path of its own.
CREATE OR REPLACE FUNCTION contentq.has_answers(account_id bigint)
RETURNS boolean
LANGUAGE sql
STABLE
RETURN EXISTS (
    SELECT
    FROM contentq.batch_requests AS r
    WHERE r.answered_at IS NOT NULL
      AND NOT r.is_taken
      AND (has_answers.account_id IS NULL OR r.account_id = has_answers.account_id)
);

COMMENT ON FUNCTION contentq.has_answers(bigint) IS
    'Internal: whether answers of batches wait for tasks of an account, or of any, that collect them.';
