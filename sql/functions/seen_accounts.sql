-- Lists the accounts that the caller of a function may see while row level security is on.
-- Called by: functions that run with the rights of their owner, who sees every row, on behalf of a restricted caller.
-- Locks: nothing. Returns: NULL for all accounts; otherwise those that account_roles grants to the roles of the caller.
-- The caller is the role that SET ROLE has set, otherwise the login. Policies that show all rows count, whoever created
-- them. A caller to whom a policy of the host shows only some rows does not see those here.
CREATE OR REPLACE FUNCTION contentq.seen_accounts()
RETURNS bigint[]
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    caller pg_roles;
    sees_all boolean;
BEGIN
    SELECT r.*
    INTO STRICT caller
    FROM pg_roles AS r
    WHERE r.rolname = coalesce(nullif(current_setting('role'), 'none'), session_user);
    SELECT NOT c.relrowsecurity
           OR caller.rolsuper
           OR caller.rolbypassrls
           OR NOT c.relforcerowsecurity AND pg_has_role(caller.oid, c.relowner, 'USAGE')
           OR EXISTS (SELECT
                      FROM pg_policy AS p
                      WHERE p.polrelid = c.oid
                        AND EXISTS (SELECT
                                    FROM unnest(p.polroles) AS m (oid)
                                    WHERE m.oid = 0 OR pg_has_role(caller.oid, m.oid, 'USAGE'))
                      HAVING bool_or(p.polcmd = '*' AND pg_get_expr(p.polqual, p.polrelid) = 'true')
                         AND bool_and(p.polpermissive))
    INTO STRICT sees_all
    FROM pg_class AS c
    WHERE c.oid = 'public.contents'::regclass;
    IF sees_all THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT a.account_id
        FROM contentq.account_roles AS a
        JOIN pg_roles AS r ON r.rolname = a.role_name
        WHERE pg_has_role(caller.oid, r.oid, 'USAGE')
    );
END;
$$;

COMMENT ON FUNCTION contentq.seen_accounts() IS
    'Internal: the accounts that the caller may see while row level security is on; NULL for all.';
