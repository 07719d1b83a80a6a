-- Finds which of the latest contents of a task's account a text resembles most, by trigrams.
-- Called by: workers, for the check max_likeness. Locks: nothing.
-- Returns: one row with its id, title and likeness, from 0 to 1; no row if the account has no content yet. Rejected content
--          and content of the task itself do not count. Of each text, the first 100,000 characters are compared.
-- Raises: 0A000 (feature_not_supported) without the extension pg_trgm, whose functions may be in any schema.
-- It runs with the rights of the caller, who must be allowed to read the task and contents.
CREATE OR REPLACE FUNCTION contentq.most_alike(id bigint, body text, last integer DEFAULT 50)
RETURNS TABLE (content_id bigint, title text, likeness real)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    most_characters constant integer := 100000;
    trigrams constant text := (
        SELECT n.nspname
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_trgm'
    );
BEGIN
    IF trigrams IS NULL THEN
        RAISE EXCEPTION 'the extension pg_trgm is not installed in this database'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'As a role that may create extensions, run: CREATE EXTENSION pg_trgm';
    END IF;
    EXECUTE format(
        'SELECT l.id::bigint, l.title::text, l.likeness
         FROM (
             SELECT c.id, c.title, %1$I.similarity(left(c.body, $4), $2) AS likeness
             FROM public.content_generation_tasks AS t
             CROSS JOIN LATERAL (
                 SELECT o.id, o.title, o.body
                 FROM public.contents AS o
                 WHERE o.account_id = t.account_id
                   AND o.review_status <> ''rejected''
                   AND o.id IS DISTINCT FROM t.content_id
                 ORDER BY o.account_id DESC, (o.id + 0) DESC
                 LIMIT $3
             ) AS c
             WHERE t.id = $1
         ) AS l
         ORDER BY l.likeness DESC, l.id DESC
         LIMIT 1', trigrams)
    INTO content_id, title, likeness
    USING most_alike.id, left(most_alike.body, most_characters), greatest(most_alike.last, 0), most_characters;
    IF content_id IS NOT NULL THEN
        RETURN NEXT;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.most_alike(bigint, text, integer) IS
    'Which of the latest contents of a task''s account a text resembles most, by trigrams (extension pg_trgm), with the '
    'likeness from 0 to 1.';
