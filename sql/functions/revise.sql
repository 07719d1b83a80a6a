-- Reports that checks of a draft failed: stores the draft and returns the task to pending for a revision, in one
-- statement. No retry is charged.
-- Called by: workers, after a handler raised CheckFailed.
-- Locks: the row of the task. Returns: the new status: pending (a revision is charged); after max_revisions failed, or
--        completed with keep_for_review; timeout or failed if the task is past its deadline or was cancelled, in which case
--        the draft is not stored; NULL if the worker no longer holds this attempt.
-- message: what is wrong, one failed check per line, for the next attempt to read (revision_note, error_message).
-- The draft (title, body, word_count) is stored as rejected content, so that nobody uses it as the article. content_id
-- points the next attempt to it, and its review_note repeats message. keep_for_review: the last draft is pending, whatever
-- auto_approve is, the result has failed_checks, and reviewers are notified if settings.notify_reviewers is on. Without a
-- body, no content is stored and none can be reviewed.
-- handler_state is removed: a revision is new work.
-- extra: a JSON object as text, as in store(). Its model, tokens and cost are added to the usage of the task's account
-- whatever the outcome; its members become part of the result of a completed task.
-- Raises: 22003, 22P02, 22P05 or 54001, with nothing changed, if extra is not a JSON object; 22023 if it contains a member
--         that contentq sets in the result.
CREATE OR REPLACE FUNCTION contentq.revise(
    worker_id bigint,
    id bigint,
    attempt integer,
    message text,
    title text DEFAULT NULL,
    body text DEFAULT NULL,
    word_count integer DEFAULT NULL,
    extra text DEFAULT NULL,
    max_revisions integer DEFAULT 2,
    keep_for_review boolean DEFAULT false
)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(btrim(revise.message, E' \n\r\t'), ''), 'no message given');
    kept_message constant text := contentq.shorten(full_message, 8000);
    -- The maximum number of characters of a title; NULL in a host's table without a limit.
    title_length constant integer := (
        SELECT nullif(a.atttypmod, -1) - 4
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.contents'::regclass
          AND a.attname = 'title'
    );
    task public.content_generation_tasks;
    is_last boolean;
    is_kept boolean;
    draft_id bigint;
    new_status text;
BEGIN
    IF NOT contentq.is_own_worker(revise.worker_id) THEN
        RETURN NULL;
    END IF;
    IF revise.extra IS NOT NULL THEN
        PERFORM contentq.refuse_extras(ARRAY[revise.extra]);
        PERFORM contentq.record_usage(
            revise.worker_id, ARRAY[revise.id], ARRAY[revise.attempt], ARRAY[revise.extra]
        );
    END IF;
    IF EXISTS (SELECT contentq.end_cancelled_or_overdue(revise.worker_id, ARRAY[revise.id], ARRAY[revise.attempt])) THEN
        RETURN (SELECT t.status FROM public.content_generation_tasks AS t WHERE t.id = revise.id);
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = revise.id
      AND t.attempt = revise.attempt
      AND contentq.is_held(t.status, t.worker_id, revise.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM contentq.note_answers(revise.worker_id, 1, task.started_at, 0, ARRAY[task.id]::bigint[]);
    is_last := task.revision_count >= coalesce(revise.max_revisions, 2);
    is_kept := is_last AND coalesce(revise.keep_for_review, false) AND revise.body IS NOT NULL;

    IF revise.body IS NOT NULL THEN
        INSERT INTO public.contents (
            account_id, title, body, word_count, review_status, generation_task_id, review_note
        )
        VALUES (
            task.account_id, coalesce(left(revise.title, title_length), revise.title), revise.body,
            coalesce(revise.word_count, 0), CASE WHEN is_kept THEN 'pending' ELSE 'rejected' END, task.id, kept_message
        )
        RETURNING contents.id INTO draft_id;
        IF draft_id IS NULL THEN
            RAISE EXCEPTION 'a trigger or rule on table contents suppressed an insert of content'
                USING ERRCODE = 'triggered_action_exception';
        END IF;
    END IF;

    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN is_kept THEN 'completed' WHEN is_last THEN 'failed' ELSE 'pending' END,
        revision_count = CASE WHEN is_last THEN t.revision_count ELSE t.revision_count + 1 END,
        scheduled_at = NULL,
        completed_at = CASE WHEN is_kept THEN clock_timestamp() ELSE t.completed_at END,
        result = CASE WHEN is_kept THEN (
            format('{"success": true, "content_id": %s, "word_count": %s, "failed_checks": %s',
                   draft_id, coalesce(revise.word_count, 0), to_json(string_to_array(kept_message, E'\n')))
            || coalesce(', ' || nullif(btrim(substr(btrim(revise.extra, E' \n\r\t'), 2), E' \n\r\t'), '}'), '}')
        )::json ELSE t.result END,
        content_id = coalesce(draft_id, t.content_id),
        error_message = CASE WHEN NOT is_kept THEN kept_message END,
        revision_note = CASE WHEN NOT is_kept THEN kept_message END,
        attempt_errors = contentq.add_error(
            t.attempt_errors, t.attempt, t.worker_id, 'CheckFailed', full_message
        ),
        handler_state = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = task.id
    RETURNING t.status INTO new_status;
    PERFORM contentq.count_failure('CheckFailed');

    IF is_kept THEN
        PERFORM contentq.notify_reviewers();
    END IF;
    IF (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = revise.worker_id) > 0 THEN
        PERFORM contentq.clear_failures(ARRAY[revise.worker_id]);
    END IF;
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.revise(
    bigint, bigint, integer, text, text, text, integer, text, integer, boolean
) IS
    'Reports that checks of a draft failed: stores it as rejected content and returns the task to pending for a revision '
    'without charging a retry. After max_revisions the task fails, or completes with pending content (keep_for_review). '
    'Returns the new status; NULL if this worker no longer holds this attempt.';
