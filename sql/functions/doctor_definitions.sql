-- Finds functions, views and triggers of contentq that are missing, or that were changed since contentq migrate.
-- Called by: doctor(). Locks: nothing. Returns: the findings, one for each kind.
-- A migration stores a digest of each definition in the catalogue in contentq.definitions; this function computes the
-- digests in the same way. Whether a definition is that of the program's version, only the program can tell.
CREATE OR REPLACE FUNCTION contentq.doctor_definitions()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH present AS MATERIALIZED (
        SELECT 'function' AS kind, p.proname::text AS name,
               md5(pg_get_functiondef(p.oid) || coalesce(obj_description(p.oid, 'pg_proc'), '')) AS digest
        FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('contentq')
          AND p.prokind = 'f'
        UNION ALL
        SELECT 'view', c.relname,
               md5(concat_ws('|', pg_get_viewdef(c.oid), c.reloptions, obj_description(c.oid, 'pg_class')))
        FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace('contentq')
          AND c.relkind = 'v'
        UNION ALL
        SELECT 'trigger', c.relname || '.' || t.tgname,
               md5(concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')))
        FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_proc AS p ON p.oid = t.tgfoid
        WHERE p.pronamespace = to_regnamespace('contentq')
          AND NOT t.tgisinternal
          AND t.tgparentid = 0
    ),
    wrong AS (
        SELECT d.kind, d.name, f.is_present
        FROM contentq.definitions AS d
        CROSS JOIN LATERAL (
            SELECT count(*) > 0 AS is_present, coalesce(bool_or(p.digest = d.installed), false) AS is_same
            FROM present AS p
            WHERE p.kind = d.kind
              AND p.name = d.name
        ) AS f
        WHERE NOT f.is_same
    )
    SELECT CASE WHEN w.is_present THEN 'warning' ELSE 'error' END,
           CASE WHEN w.is_present THEN 'definition_changed' ELSE 'definition_missing' END,
           w.kind || 's',
           format('%s %s: %s', count(*),
                  CASE WHEN w.is_present THEN 'changed since contentq migrate, or disabled' ELSE 'missing' END,
                  array_to_string((array_agg(w.name ORDER BY w.name))[:10], ', ')
                  || CASE WHEN count(*) > 10 THEN ', ...' ELSE '' END),
           'Programs of this version need them as contentq migrate created them.',
           'contentq migrate'
    FROM wrong AS w
    GROUP BY w.kind, w.is_present
    ORDER BY w.is_present, w.kind;
$$;

COMMENT ON FUNCTION contentq.doctor_definitions() IS
    'Internal: findings of doctor() about functions, views and triggers that are missing or changed.';
