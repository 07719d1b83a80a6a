-- Rejects pending content that matches selectors, in chunks; with revise, makes its tasks pending again.
-- Called by: reviewers. Locks: the contents, then their tasks, in id order; it skips rows that other sessions have locked.
-- Returns: one row: contents: how many were rejected; last_id: the after_id of the next call, NULL after the last ones.
-- It rejects at most max_contents per call, and never more than 10,000, so that locks are short. Selectors: as in
-- matching_contents(); at least one is required; since => '-infinity' selects all. It leaves out content that someone else
-- decides on meanwhile; with revise, also content whose task was deleted, is pending or running again, or has produced a
-- later version.
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
    'Rejects a chunk of the pending content that matches the selectors; with revise, for another version. Returns how '
    'many, and the after_id of the next call.';
