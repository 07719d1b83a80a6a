-- Finds missing indexes of the three tables, and invalid indexes, as an interrupted CREATE INDEX CONCURRENTLY leaves them.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
-- The required indexes are those of the migrations. In a table that existed before contentq, another index that begins with
-- the same column and covers all rows also counts.
CREATE OR REPLACE FUNCTION contentq.doctor_indexes()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'warning', 'index_missing', n.name,
           format('%s has no such index', n.table_name),
           'Queries of contentq that need it read the whole table.',
           format('CREATE INDEX CONCURRENTLY %I ON public.%I %s', n.name, n.table_name, n.definition)
    FROM contentq.needed_indexes AS n
    JOIN contentq.tables AS t ON t.table_name = n.table_name
    WHERE (t.is_created OR n.name <> 'contents_account_id_idx')
      AND NOT EXISTS (
          SELECT
          FROM pg_index AS i
          JOIN pg_class AS c ON c.oid = i.indexrelid
          LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = to_regclass('public.' || n.table_name)
            AND (c.relname = n.name
                 OR NOT t.is_created AND i.indpred IS NULL AND i.indisvalid AND a.attname = n.first_column)
      )
    UNION ALL
    SELECT 'warning', 'index_invalid', c.relname,
           format('the index on %s is never used, but every write still updates it', i.indrelid::regclass),
           'Queries of contentq that need it read the whole table.',
           format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS r ON r.oid = i.indrelid
    WHERE NOT (i.indisvalid AND i.indisready)
      AND (r.relnamespace = to_regnamespace('contentq')
           OR r.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                        to_regclass('public.content_generation_tasks')))
    ORDER BY 2, 3;
$$;

COMMENT ON FUNCTION contentq.doctor_indexes() IS
    'Internal: findings of doctor() about missing or invalid indexes.';
