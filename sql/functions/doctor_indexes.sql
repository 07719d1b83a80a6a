-- Finds indexes of the three tables that are missing, and indexes that are invalid, as an interrupted CREATE INDEX CONCURRENTLY
-- leaves them.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
-- The indexes are those of the table steps. A table that was taken over needs none that another of its indexes stands for: one
-- that begins with the same column and leaves out no row.
CREATE OR REPLACE FUNCTION contentq.doctor_indexes()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, mend text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'warning', 'index_missing', n.name,
           format('%s has no such index', n.table_name),
           'What contentq reads with it, it now looks for in the whole table.',
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
           format('the index on %s is not used, and is written all the same', i.indrelid::regclass),
           'What contentq reads with it, it now looks for in the whole table.',
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
    'Internal: findings of doctor() about indexes that are missing or invalid.';
