-- Stores a verdict on content, if its review_status is still the one that the reviewer has seen.
-- Called by: approve(), reject(). Locks: the row of the content.
-- Returns: the content as it is now.
-- A reviewer who waits for the row while another decides gets CQ005, so that reviewers never overwrite each other silently.
-- Raises: CQ005 if the caller sees no such content, or if its review_status differs.
-- + 0: the content is found by its id, not among all contents of an account.
CREATE OR REPLACE FUNCTION contentq.mark_reviewed(
    content_id bigint,
    verdict text,
    reviewer text,
    note text,
    review_status text
)
RETURNS public.contents
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    seen constant bigint[] := contentq.seen_accounts();
    content public.contents;
BEGIN
    SELECT c.*
    INTO content
    FROM public.contents AS c
    WHERE c.id = mark_reviewed.content_id
      AND (seen IS NULL OR c.account_id + 0 = ANY (seen))
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no content %', mark_reviewed.content_id
            USING ERRCODE = 'CQ005',
                  HINT = 'SELECT content_id FROM contentq.review_queue lists the content that waits for review.';
    END IF;
    IF content.review_status IS DISTINCT FROM mark_reviewed.review_status THEN
        RAISE EXCEPTION 'content % %', content.id,
            CASE WHEN content.reviewed_at IS NULL OR content.review_status = 'pending'
                 THEN format('is %s, not %s', content.review_status, mark_reviewed.review_status)
                 ELSE format('was %s by %s %s', content.review_status, coalesce(content.reviewed_by, 'someone'),
                             contentq.ago(content.reviewed_at)) END
            USING ERRCODE = 'CQ005',
                  HINT = format('To decide again, pass its current status: review_status => %L.', content.review_status);
    END IF;

    UPDATE public.contents AS c
    SET review_status = mark_reviewed.verdict,
        reviewed_by = left(coalesce(nullif(btrim(mark_reviewed.reviewer), ''), session_user), 100),
        reviewed_at = clock_timestamp(),
        review_note = contentq.shorten(mark_reviewed.note, 8000)
    WHERE c.id = content.id
    RETURNING c.* INTO content;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a trigger or rule on table contents suppressed the review'
            USING ERRCODE = 'triggered_action_exception';
    END IF;
    RETURN content;
END;
$$;

COMMENT ON FUNCTION contentq.mark_reviewed(bigint, text, text, text, text) IS
    'Internal: stores a verdict on content with the given review_status; raises CQ005 if it differs.';
