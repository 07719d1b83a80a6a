-- Warns a worker that cannot see all rows: it would find nothing to do.
-- Called by: register_worker(), with the login of the worker. Locks: nothing. Returns: nothing; raises a warning, which
--            workers log.
-- Policies that show a role every row are those of set_row_security(), and any other policy with the condition true for all
-- commands.
CREATE OR REPLACE FUNCTION contentq.warn_of_row_security(login name DEFAULT current_user)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secured constant text := (
        SELECT string_agg(c.relname, ', ' ORDER BY t.place)
        FROM unnest(ARRAY[
            'public.content_generation_tasks'::regclass, 'public.accounts'::regclass, 'public.contents'::regclass
        ]) WITH ORDINALITY AS t (rel, place)
        JOIN pg_class AS c ON c.oid = t.rel
        JOIN pg_roles AS r ON r.rolname = login
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(p.polpermissive
                                    AND p.polcmd = '*'
                                    AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                                    AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid) = 'true', true)), false)
                   AND bool_and(p.polpermissive) AS shows_all
            FROM pg_policy AS p
            WHERE p.polrelid = c.oid
              AND EXISTS (SELECT
                          FROM unnest(p.polroles) AS m (oid)
                          WHERE m.oid = 0 OR pg_has_role(login, m.oid, 'USAGE'))
        ) AS p
        WHERE c.relrowsecurity
          AND NOT r.rolsuper
          AND NOT r.rolbypassrls
          AND (c.relforcerowsecurity OR NOT pg_has_role(login, c.relowner, 'USAGE'))
          AND p.shows_all IS NOT TRUE
    );
BEGIN
    IF secured IS NOT NULL THEN
        RAISE WARNING 'row level security is on for %: role % sees only the rows that a policy allows; '
                      'give it a policy for all rows, or BYPASSRLS', secured, login;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.warn_of_row_security(name) IS
    'Internal: raises a warning if row level security hides rows of the tables from this role.';
