-- Roles with no more rights than their work needs. Applied on demand, by a superuser or by the owner of the
-- tables with CREATEROLE, and again after each migration:
--
--     psql -d <database> -f sql/roles.sql
--     psql -d <database> -c "CREATE ROLE app LOGIN; GRANT contentq_producer TO app"
--
-- contentq_producer   inserts tasks, reads them, their results and their content
-- contentq_worker     what contentq worker does: every function that claims, reports and keeps house
-- contentq_operator   cancel, requeue, sweep, rescue, clean up; pauses, budgets, settings; reads everything
-- contentq_reader     reads everything, the views included
--
-- The roles cannot log in; grant them to users that can. All functions run with the rights of their caller,
-- so that anyone may try to call one, and what the caller may do to the tables decides. Rights that were
-- granted to these roles otherwise are taken away, so that this file is all of them.

\set ON_ERROR_STOP on
\set SHOW_CONTEXT never

BEGIN;

DO $$
DECLARE
    -- Roles belong to all databases of a server: another one may have them already.
    missing constant text := (
        SELECT string_agg(r.name, ', ' ORDER BY r.name)
        FROM unnest(ARRAY['contentq_producer', 'contentq_worker', 'contentq_operator', 'contentq_reader']) AS r (name)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name)
    );
    tables_schema text;
    role text;
BEGIN
    IF to_regclass('contentq.tables') IS NULL THEN
        RAISE EXCEPTION 'the database is not migrated; run: contentq migrate';
    END IF;
    IF missing IS NOT NULL AND NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION '% may not create roles: let a superuser run this file, or create % first',
            current_user, missing;
    END IF;
    FOREACH role IN ARRAY coalesce(string_to_array(missing, ', '), '{}') LOOP
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END LOOP;

    SELECT t.schema_name INTO tables_schema FROM contentq.tables AS t WHERE t.table_name = 'content_generation_tasks';
    PERFORM set_config('search_path', format('pg_catalog, %I, pg_temp', tables_schema), true);
    EXECUTE format('GRANT USAGE ON SCHEMA %I, contentq '
                   'TO contentq_producer, contentq_worker, contentq_operator, contentq_reader', tables_schema);
END;
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA contentq
    FROM contentq_producer, contentq_worker, contentq_operator, contentq_reader;
REVOKE ALL ON content_generation_tasks, accounts, contents
    FROM contentq_producer, contentq_worker, contentq_operator, contentq_reader;

GRANT SELECT ON content_generation_tasks, accounts, contents, contentq.alembic_version
    TO contentq_producer, contentq_worker, contentq_operator, contentq_reader;

-- Programs name the tables by these views, whatever schema they are in: the rights are those to the tables.
GRANT SELECT ON contentq.tasks, contentq.accounts, contentq.contents, contentq.tables
    TO contentq_producer, contentq_worker, contentq_operator, contentq_reader;
GRANT INSERT ON contentq.tasks TO contentq_producer;
GRANT UPDATE (status) ON contentq.tasks TO contentq_worker;  -- to see which rows are locked
GRANT UPDATE (paused_until, monthly_budget) ON contentq.accounts TO contentq_operator;

-- Not by column: object-relational mappers name every column of a table when they insert.
GRANT INSERT ON content_generation_tasks TO contentq_producer;

-- By column: what a task is about, and how urgent it is, is not for a worker to change.
GRANT UPDATE (
    status, started_at, completed_at, attempt, retry_count, scheduled_at, worker_id, cancel_requested_at,
    result, content_id, error_message, attempt_errors, progress, progress_note, updated_at
) ON content_generation_tasks TO contentq_worker;
GRANT DELETE ON content_generation_tasks TO contentq_worker;
GRANT INSERT, UPDATE (review_status) ON contents TO contentq_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON contentq.workers TO contentq_worker;
GRANT SELECT, INSERT, DELETE ON contentq.dead_workers TO contentq_worker;
GRANT SELECT ON contentq.settings TO contentq_worker;
GRANT SELECT, UPDATE ON contentq.maintenance TO contentq_worker;
GRANT SELECT, INSERT, UPDATE ON contentq.gates, contentq.usage TO contentq_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    contentq.account_pauses, contentq.used_up_budgets, contentq.budget_checks TO contentq_worker;
GRANT SELECT ON contentq.blocked_accounts TO contentq_worker;

GRANT UPDATE, DELETE ON content_generation_tasks TO contentq_operator;
GRANT UPDATE, DELETE ON contentq.workers TO contentq_operator;
GRANT INSERT, DELETE ON contentq.dead_workers TO contentq_operator;
GRANT UPDATE ON contentq.settings, contentq.maintenance TO contentq_operator;
GRANT INSERT, UPDATE, DELETE ON contentq.gates TO contentq_operator;
GRANT INSERT, UPDATE, DELETE ON
    contentq.account_pauses, contentq.used_up_budgets, contentq.budget_checks TO contentq_operator;
GRANT UPDATE (paused_until, monthly_budget) ON accounts TO contentq_operator;

GRANT SELECT ON ALL TABLES IN SCHEMA contentq TO contentq_operator, contentq_reader;

COMMIT;
