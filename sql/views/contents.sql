-- The contents, wherever their table is: the columns that contentq knows.
CREATE OR REPLACE VIEW contentq.contents WITH (security_invoker = true) AS
SELECT c.id, c.account_id, c.title, c.body, c.word_count, c.review_status, c.created_at,
    c.generation_task_id, c.reviewed_by, c.reviewed_at, c.review_note
FROM public.contents AS c;

COMMENT ON VIEW contentq.contents IS
    'Table contents, whatever schema it is in: the columns that contentq knows; can be read and written like it.';
