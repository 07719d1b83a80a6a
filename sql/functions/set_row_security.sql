-- Enables or disables row level security, with which a role sees and inserts only rows of its accounts.
-- Called by: the owner of the tables (contentq roles row-security), and migrate where it is on.
-- Locks: the tables that it changes, exclusively, until the end of the transaction; nothing if all is as requested.
-- Returns: how many tables it changed.
-- On: workers, operators and the functions that act for them see everything. Everyone else sees the accounts that table
-- account_roles assigns to a role of which they are a member. It does not bind the owner and superusers.
-- Off: a table of a host that had row level security before keeps it, with its own policies.
CREATE OR REPLACE FUNCTION contentq.set_row_security(enabled boolean)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    see_all constant name[] := ARRAY(
        SELECT r.rolname
        FROM pg_roles AS r
        WHERE r.rolname IN ('contentq_operator', 'contentq_worker', 'contentq_definer')
        ORDER BY r.rolname
    );
    own_rows text;
    disable text;
    each record;
    changed integer := 0;
BEGIN
    IF enabled AND NOT see_all @> '{contentq_operator,contentq_worker}' THEN
        RAISE EXCEPTION 'cannot enable row level security: role contentq_worker or contentq_operator is missing'
            USING ERRCODE = 'undefined_object',
                  HINT = 'Run contentq roles apply first.';
    END IF;

    FOR each IN
        SELECT c.oid::regclass AS rel, c.relrowsecurity AS is_on, t.col, s.table_name,
               -- The current policies and their roles, so that tables already as requested are left alone.
               ARRAY(
                   SELECT concat_ws('|', p.polname, (SELECT string_agg(r.rolname, ',' ORDER BY r.rolname)
                                                     FROM pg_roles AS r
                                                     WHERE r.oid = ANY (p.polroles)))
                   FROM pg_policy AS p
                   WHERE p.polrelid = c.oid
                     AND p.polname IN ('contentq_all_accounts', 'contentq_own_accounts')
                   ORDER BY p.polname
               ) AS policies
        FROM (VALUES
            (1, 'public.content_generation_tasks'::regclass, 'account_id'),
            (2, 'public.contents'::regclass, 'account_id'),
            (3, 'public.accounts'::regclass, 'id'),
            (4, 'contentq.usage'::regclass, 'account_id'),
            -- Budgets of all accounts are hidden from roles that see only some accounts.
            (8, 'contentq.budgets'::regclass, 'account_id'),
            (9, 'contentq.budget_events'::regclass, 'account_id'),
            -- Contains tasks of all accounts.
            (5, 'contentq.dead_workers'::regclass, NULL),
            -- Contains accounts that are over budget.
            (6, 'contentq.claimers'::regclass, NULL),
            -- Contains tasks and batches of all accounts.
            (6, 'contentq.awaited'::regclass, NULL),
            (7, 'contentq.account_roles'::regclass, 'role_name'),
            (8, 'contentq.batch_requests'::regclass, 'account_id'),
            -- Contains tasks of all accounts, and what providers answered about them.
            (9, 'contentq.provider_batches'::regclass, NULL)
        ) AS t (place, rel, col)
        JOIN pg_class AS c ON c.oid = t.rel
        LEFT JOIN contentq.tables AS s
            ON s.table_name = c.relname
            AND s.schema_name::regnamespace = c.relnamespace
        ORDER BY t.place
    LOOP
        disable := format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', each.rel);
        CONTINUE WHEN enabled AND each.is_on AND each.policies = ARRAY(
            SELECT 'contentq_all_accounts|' || array_to_string(see_all, ',')
            UNION ALL
            SELECT 'contentq_own_accounts' WHERE each.col IS NOT NULL
        );
        CONTINUE WHEN NOT enabled AND each.policies = '{}';
        changed := changed + 1;

        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', each.rel);
        EXECUTE format('DROP POLICY IF EXISTS contentq_all_accounts ON %s', each.rel);
        EXECUTE format('DROP POLICY IF EXISTS contentq_own_accounts ON %s', each.rel);
        IF NOT enabled THEN
            IF each.table_name IS NULL
                OR EXISTS (SELECT FROM contentq.tables AS s WHERE s.table_name = each.table_name AND disable = ANY (s.added))
            THEN
                EXECUTE disable;
            END IF;
            UPDATE contentq.tables AS s
            SET added = ARRAY(
                SELECT a.statement
                FROM unnest(s.added) WITH ORDINALITY AS a (statement, place)
                WHERE a.statement <> disable
                  AND a.statement NOT LIKE 'DROP POLICY IF EXISTS contentq\_%'
                ORDER BY a.place
            )
            WHERE s.table_name = each.table_name;
            CONTINUE;
        END IF;

        EXECUTE format('CREATE POLICY contentq_all_accounts ON %s TO %s USING (true) WITH CHECK (true)', each.rel,
                       (SELECT string_agg(quote_ident(r.name), ', ') FROM unnest(see_all) AS r (name)));
        -- The subqueries are evaluated once per statement, so that an index on the account can be used.
        own_rows := CASE each.col
            WHEN 'role_name' THEN 'EXISTS (SELECT FROM pg_catalog.pg_roles AS r '
                                  'WHERE r.rolname = role_name AND pg_catalog.pg_has_role(r.oid, ''USAGE''))'
            ELSE each.col || ' = ANY (ARRAY(SELECT r.account_id FROM contentq.account_roles AS r))'
        END;
        IF own_rows IS NOT NULL THEN
            EXECUTE format('CREATE POLICY contentq_own_accounts ON %s USING (%s)', each.rel, own_rows);
        END IF;
        -- The statements that undo it: an older table may already have had row level security.
        UPDATE contentq.tables AS s
        SET added = s.added
            || ARRAY(
                SELECT n.statement
                FROM unnest(ARRAY[
                    format('DROP POLICY IF EXISTS contentq_all_accounts ON %s', each.rel),
                    format('DROP POLICY IF EXISTS contentq_own_accounts ON %s', each.rel),
                    CASE WHEN NOT each.is_on THEN disable END
                ]) AS n (statement)
                WHERE n.statement <> ALL (s.added)
            )
        WHERE s.table_name = each.table_name;
        IF NOT each.is_on THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', each.rel);
        END IF;
    END LOOP;

    RETURN changed;
END;
$$;

COMMENT ON FUNCTION contentq.set_row_security(boolean) IS
    'Enables or disables row level security: everyone but owners, workers and operators sees and inserts only rows of the '
    'accounts that account_roles assigns to their roles. Returns how many tables were changed.';
