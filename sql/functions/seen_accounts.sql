-- Says which accounts the caller of a function sees, when row level security keeps rows from it.
-- Called by: functions that run with the rights of their owner, who sees everything, and act for someone who may not.
-- Locks: nothing. Returns: NULL for all of them; otherwise those that account_roles gives to roles that the caller has.
-- The caller is the role that SET ROLE has set, whose rights it has then, or else the login. Of policies those count that show
-- all rows, whoever has made them; whom a host's policy shows some of them does not see these here.
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
    'Internal: the accounts that the caller sees where row level security is on; NULL for all.';
