-- Approves content that is pending review.
-- Called by: reviewers. Locks: the row of the content.
-- Returns: approved.
-- reviewer: who decided, up to 100 characters, as the caller states it; the login by default.
-- review_status: the current status of the content. To approve rejected content, pass rejected.
-- Raises: CQ005 if someone else has already decided, or if the caller sees no such content.
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
    'Approves content that is pending (or has the given review_status); raises CQ005 if someone else has already '
    'decided.';
