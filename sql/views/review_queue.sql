-- Content that waits for review, oldest first.
-- Each row looks up its own task and previous version by index, so LIMIT reads no more than it returns. + 0: the order is
-- that of contents_review_idx, and the previous version is found among those of the task.
CREATE OR REPLACE VIEW contentq.review_queue WITH (security_invoker = true) AS
SELECT
    c.id AS content_id,
    t.task_id,
    c.account_id,
    (SELECT a.name FROM public.accounts AS a WHERE a.id = c.account_id) AS account,
    c.title,
    c.word_count,
    t.attempt,
    c.created_at AS waiting_since,
    t.category,
    t.batch,
    t.submitted_at,
    c.review_note AS failed_checks,
    (SELECT v.review_note
     FROM public.contents AS v
     WHERE v.generation_task_id = c.generation_task_id
       AND v.id + 0 < c.id
     ORDER BY v.id + 0 DESC
     LIMIT 1) AS previous_note
FROM public.contents AS c
LEFT JOIN LATERAL (
    SELECT o.task_id, o.attempt, o.category, o.batch, o.submitted_at
    FROM public.content_generation_tasks AS o
    WHERE o.id = contentq.task_of_content(c.id, c.generation_task_id, c.account_id)
      AND o.account_id + 0 = c.account_id
    LIMIT 1
) AS t ON true
WHERE c.review_status = 'pending'
ORDER BY c.id + 0;

COMMENT ON VIEW contentq.review_queue IS
    'Content that waits for review, oldest first, with its task. failed_checks: the checks that this draft failed. '
    'previous_note: why the previous version was sent back. Decide with contentq.approve() and contentq.reject().';
