-- Finds rights that are too wide: schemas in which everyone may create objects, tables on which others may create triggers,
-- functions that everyone may execute.
-- Called by: doctor(), contentq migrate (for its notes). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_rights()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    -- PUBLIC has this right on schema public by default up to PostgreSQL 14, and an upgrade keeps it.
    SELECT 'warning', 'schema_open', n.nspname, format('anyone may create objects in schema %I', n.nspname),
           'Other programs and users of psql may then run them without knowing it.',
           format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname)
    FROM pg_namespace AS n
    WHERE (n.nspname IN ('public', 'contentq') OR n.nspname IN (SELECT t.schema_name FROM contentq.tables AS t))
      AND EXISTS (
          SELECT
          FROM aclexplode(n.nspacl) AS a
          WHERE a.grantee = 0
            AND a.privilege_type = 'CREATE'
      )
    UNION ALL
    -- GRANT ALL includes TRIGGER.
    SELECT 'warning', 'trigger_rights', c.oid::regclass::text,
           format('%s may create triggers on it', string_agg(DISTINCT g.name, ', ' ORDER BY g.name)),
           'A trigger runs with the rights of whoever changes the table, superusers included.',
           format('REVOKE TRIGGER ON %s FROM %s', c.oid::regclass, string_agg(DISTINCT g.name, ', ' ORDER BY g.name))
    FROM pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    CROSS JOIN LATERAL (SELECT coalesce(quote_ident(r.rolname), 'PUBLIC') AS name) AS g
    WHERE c.relkind IN ('r', 'p')
      AND (c.relnamespace = 'contentq'::regnamespace
           OR c.oid IN (SELECT to_regclass(format('%I.%I', t.schema_name, t.table_name)) FROM contentq.tables AS t))
      AND a.privilege_type = 'TRIGGER'
      AND a.grantee <> c.relowner
      AND r.rolsuper IS NOT TRUE
    GROUP BY c.oid
    UNION ALL
    SELECT 'warning', 'functions_open', 'functions',
           format('everyone may execute %s', string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.proname)),
           'Functions of contentq run with the rights of their owner.',
           'contentq migrate'
    FROM pg_proc AS p
    JOIN contentq.definitions AS d ON d.kind = 'function' AND d.name = p.proname
    WHERE p.pronamespace = 'contentq'::regnamespace
      AND p.prosecdef
      AND EXISTS (
          SELECT
          FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
          WHERE a.grantee = 0
      )
    HAVING count(*) > 0
    ORDER BY 2, 3;
$$;

COMMENT ON FUNCTION contentq.doctor_rights() IS
    'Internal: findings of doctor() about rights that are too wide.';
