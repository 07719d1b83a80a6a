-- Approves pending content that matches selectors, in chunks.
-- Called by: reviewers. Locks: the contents, in id order; it skips contents that other sessions have locked.
-- Returns: one row: contents: how many were approved; last_id: the after_id of the next call, NULL after the last ones.
-- It approves at most max_contents per call, and never more than 10,000, so that locks are short. Selectors: as in
-- matching_contents(); at least one is required; since => '-infinity' selects all. It leaves out content that someone else
-- decides on meanwhile.
-- Raises: 22023 without a selector.
CREATE OR REPLACE FUNCTION contentq.approve_matching(
    account_id bigint DEFAULT NULL,
    category text DEFAULT NULL,
    batch text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    reviewer text DEFAULT session_user,
    note text DEFAULT NULL,
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
        'approved', approve_matching.account_id, approve_matching.category, approve_matching.batch, approve_matching.since,
        approve_matching.until, approve_matching.reviewer, approve_matching.note, false, approve_matching.after_id,
        approve_matching.max_contents
    ) AS m;
$$;

COMMENT ON FUNCTION contentq.approve_matching(
    bigint, text, text, timestamptz, timestamptz, text, text, bigint, integer
) IS
    'Approves a chunk of the pending content that matches the selectors; returns how many, and the after_id of the next '
    'call.';
