-- Approves content that waits for its review.
-- Called by: reviewers. Locks: the content's row.
-- Returns: approved.
-- reviewer: who decided, up to 100 characters; it is what the caller says, and the login when it says nothing.
-- review_status: what the content must be now. To approve what was rejected, say rejected.
-- Raises: CQ005 when another has decided meanwhile, or there is no such content that the caller may see.
CREATE OR REPLACE FUNCTION contentq.approve(
    content_id bigint,
    reviewer text DEFAULT session_user,
    note text DEFAULT NULL,
    review_status text DEFAULT 'pending'
)
RETURNS text
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    SELECT m.review_status
    FROM contentq.mark_reviewed(
        approve.content_id, 'approved', approve.reviewer, approve.note, approve.review_status
    ) AS m;
$$;

COMMENT ON FUNCTION contentq.approve(bigint, text, text, text) IS
    'Approves content that is pending (or what review_status says); raises CQ005 when another has decided meanwhile.';
