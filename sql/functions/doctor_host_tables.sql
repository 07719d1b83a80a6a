-- Finds what tables of a host refuse or hide from contentq: columns, unique indexes, row level security.
-- Called by: doctor(), contentq migrate (for its notes). Locks: nothing. Returns: the findings.
-- A migration refuses tables that would refuse content; these problems came up later.
CREATE OR REPLACE FUNCTION contentq.doctor_host_tables()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH written (names) AS (
        SELECT '{account_id,title,body,word_count,review_status,generation_task_id}'::name[]
    ),
    columns AS (
        SELECT r.tab, a.attname, a.attnum, a.attgenerated,
               r.tab = 'contents' AND a.attname = ANY (w.names) AS is_written,
               (a.attnotnull OR y.typnotnull) AND NOT a.atthasdef AND y.typdefault IS NULL AND a.attidentity = '' AS is_needed,
               coalesce(nullif(a.atttypmod, -1), y.typtypmod) - 4 AS characters
        FROM (VALUES ('contents'), ('content_generation_tasks')) AS r (tab)
        JOIN pg_attribute AS a ON a.attrelid = to_regclass('public.' || r.tab)
        JOIN pg_type AS y ON y.oid = a.atttypid
        CROSS JOIN written AS w
        WHERE a.attnum > 0
          AND NOT a.attisdropped
    )
    SELECT 'error', 'content_refused', 'contents.' || c.attname, 'it is NOT NULL without a default, and contentq does not fill it',
           'No content can be stored: every task fails after its handler has run and its cost is incurred.',
           format('ALTER TABLE public.contents ALTER COLUMN %I DROP NOT NULL, or give it a default', c.attname)
    FROM columns AS c
    WHERE c.tab = 'contents'
      AND NOT c.is_written
      AND c.is_needed
    UNION ALL
    SELECT 'error', 'content_refused', 'contents.' || c.attname, 'it is a generated column, but contentq writes it',
           'No content can be stored: every task fails after its handler has run and its cost is incurred.',
           format('ALTER TABLE public.contents ALTER COLUMN %I DROP EXPRESSION', c.attname)
    FROM columns AS c
    WHERE c.is_written
      AND c.attgenerated <> ''
    UNION ALL
    SELECT 'error', 'content_refused', 'contents.' || c.attname, format('it is limited to %s characters', c.characters),
           'Longer articles cannot be stored: their tasks fail after their handlers have run and their cost is incurred.',
           'ALTER TABLE public.contents ALTER COLUMN body TYPE text'
    FROM columns AS c
    WHERE c.tab = 'contents'
      AND c.attname = 'body'
      AND c.characters BETWEEN 0 AND 999999
    UNION ALL
    SELECT 'error', 'content_refused', i.indexrelid::regclass::text,
           format('contents has this unique index on (%s)', string_agg(a.attname, ', ' ORDER BY k.place)),
           'Content with the same values cannot be stored again: its task fails after its handler has run and its cost is '
           'incurred.',
           format('DROP INDEX %s', i.indexrelid::regclass)
    FROM pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.place <= i.indnkeyatts
    CROSS JOIN written AS w
    WHERE i.indrelid = to_regclass('public.contents')
      AND i.indisunique
      AND i.indexprs IS NULL
    GROUP BY i.indexrelid, w.names
    HAVING bool_and(a.attname = ANY (w.names))
    UNION ALL
    SELECT 'advice', 'task_column_unfilled', 'content_generation_tasks.' || c.attname, 'it is NOT NULL without a default',
           'contentq submit cannot insert tasks; only producers that fill this column can.',
           format('ALTER TABLE public.content_generation_tasks ALTER COLUMN %I SET DEFAULT ..., if other producers insert tasks',
                  c.attname)
    FROM columns AS c
    WHERE c.tab = 'content_generation_tasks'
      AND c.attname <> 'account_id'
      AND c.is_needed
    UNION ALL
    SELECT 'advice', 'row_security', t.table_name, 'row level security is on, but contentq did not enable it',
           'Workers and producers see and change only the rows that a policy allows for their role.',
           'give the logins of workers a policy for all rows, or BYPASSRLS: docs/how-to/adopt-an-application.md'
    FROM contentq.tables AS t
    JOIN pg_class AS c ON c.oid = to_regclass('public.' || t.table_name)
    WHERE c.relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'contentq_all_accounts')
    ORDER BY 2, 3;
$$;

COMMENT ON FUNCTION contentq.doctor_host_tables() IS
    'Internal: findings of doctor() about tables of a host that refuse or hide rows.';
