-- The contents, regardless of the schema of their table: the columns that contentq uses.
CREATE OR REPLACE VIEW contentq.contents WITH (security_invoker = true) AS
SELECT c.id, c.account_id, c.title, c.body, c.word_count, c.review_status, c.created_at,
    c.generation_task_id, c.reviewed_by, c.reviewed_at, c.review_note
FROM public.contents AS c;

COMMENT ON VIEW contentq.contents IS
    'Table contents, regardless of its schema: the columns that contentq uses. Read and write it like the table.';
