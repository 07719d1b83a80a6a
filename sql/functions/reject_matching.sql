-- Rejects content that waits for its review, as it is selected, and with revise puts its tasks back: one chunk of it.
-- Called by: reviewers. Locks: the contents, then their tasks, in id order, skipping those that others hold.
-- Returns: one row: how many were rejected; last_id, which the next call takes as after_id, is NULL when there are no more.
-- At most max_contents a call, and never more than 10,000, so that no lock is held for long. Selectors are those of
-- matching_contents(); one is required: since => '-infinity' says all. What another decides meanwhile, or is just deciding, is
-- left as it is; with revise, so is content whose task is gone or runs again, or
-- has produced a later version.
-- Raises: 22023 without a selector.
CREATE OR REPLACE FUNCTION contentq.reject_matching(
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    reviewer text DEFAULT session_user,
    note text DEFAULT NULL,
    revise boolean DEFAULT false,
    after_id bigint DEFAULT 0,
    max_contents integer DEFAULT 1000
)
RETURNS TABLE (contents bigint, last_id bigint)
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.contents, m.last_id
    FROM contentq.mark_matching(
        'rejected', reject_matching.account_id, reject_matching.category, reject_matching.batch, reject_matching.since,
        reject_matching.until, reject_matching.reviewer, reject_matching.note, reject_matching.revise, reject_matching.after_id,
        reject_matching.max_contents
    ) AS m;
$$;

COMMENT ON FUNCTION contentq.reject_matching(
    bigint, text, text, timestamptz, timestamptz, text, text, boolean, bigint, integer
) IS
    'Rejects one chunk of the content that waits for its review and is selected, with revise for another version; returns '
    'how many, and where to go on.';
