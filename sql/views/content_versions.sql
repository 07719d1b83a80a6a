-- Every version of the content that tasks have produced, by task, from the first to the latest.
-- Fast for one task or one content, because a task has few versions. + 0: they are looked up by their task.
-- If a program has stored content itself and completed its task with an UPDATE, it is found by the content_id of the task.
CREATE OR REPLACE VIEW contentq.content_versions WITH (security_invoker = true) AS
SELECT
    t.task_id,
    (SELECT count(*)
     FROM public.contents AS v
     WHERE v.generation_task_id = c.generation_task_id
       AND v.id + 0 <= c.id) AS version,
    c.id AS content_id,
    c.account_id,
    c.title,
    c.word_count,
    c.review_status,
    c.reviewed_by,
    c.reviewed_at,
    c.review_note AS note,
    c.created_at
FROM public.content_generation_tasks AS t
JOIN public.contents AS c ON c.generation_task_id = t.id AND c.account_id + 0 = t.account_id
UNION ALL
SELECT
    t.task_id,
    1,
    c.id,
    c.account_id,
    c.title,
    c.word_count,
    c.review_status,
    c.reviewed_by,
    c.reviewed_at,
    c.review_note,
    c.created_at
FROM public.content_generation_tasks AS t
JOIN public.contents AS c ON c.id = t.content_id AND c.account_id + 0 = t.account_id
WHERE c.generation_task_id IS NULL;

COMMENT ON VIEW contentq.content_versions IS
    'Every version of the content that tasks have produced (1 is the first), who reviewed it, and the review note.';
