-- Approves content that waits for its review, as it is selected: one chunk of it.
-- Called by: reviewers. Locks: the contents, in id order, skipping those that others hold.
-- Returns: one row: how many were approved; last_id, which the next call takes as after_id, is NULL when there are no more.
-- At most max_contents a call, and never more than 10,000, so that no lock is held for long. Selectors are those of
-- matching_contents(); one is required: since => '-infinity' says all. What another decides meanwhile, or is just deciding, is
-- left as it is.
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
    'Approves one chunk of the content that waits for its review and is selected; returns how many, and where to go on.';
