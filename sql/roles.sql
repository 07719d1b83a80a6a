-- Roles with only the rights that their work needs. Applied on demand, by a superuser or by the owner of the tables with
-- CREATEROLE;
-- each migration restores them afterwards:
--
--     contentq roles apply                      (or: psql -d <database> -f sql/roles.sql)
--     psql -d <database> -c "CREATE ROLE app LOGIN; GRANT contentq_producer TO app"
--
-- contentq_producer   inserts tasks with the values that a producer may set; reads tasks, their results and their content
-- contentq_worker     runs contentq worker: reads tasks and contents; makes all changes through functions
-- contentq_operator   cancels, requeues, sweeps, rescues, cleans up; sets pauses, budgets, settings; reads everything
-- contentq_reader     reads everything, including the views
-- contentq_reviewer   reads tasks, accounts and contents; approves and rejects content
-- contentq_definer    not for users: owns the functions that change rows, which run with its rights
--
-- With row level security on (contentq roles row-security --on), producers, readers and reviewers see only the accounts of
-- their logins.
--
-- The roles cannot log in; grant all but the last one to users that can. Other rights that were granted to these roles are
-- revoked, so that this file lists all of their rights.

\set ON_ERROR_STOP on
\set SHOW_CONTEXT never

BEGIN;

SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    ours constant text[] := '{contentq_producer,contentq_worker,contentq_operator,contentq_reader,contentq_reviewer,'
        'contentq_definer}';
    -- Roles belong to all databases of a server: another database may have created them.
    missing constant text := (
        SELECT string_agg(r.name, ', ' ORDER BY r.name)
        FROM unnest(ours) AS r (name)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name)
    );
    has_options constant boolean := current_setting('server_version_num')::integer >= 160000;
    mightier text;
    owners oid[];
    tables_schema text;
    role text;
    owner text;
BEGIN
    IF to_regclass('contentq.tables') IS NULL THEN
        RAISE EXCEPTION 'the database is not migrated; run: contentq migrate';
    END IF;
    IF missing IS NOT NULL AND NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION '% may not create roles: let a superuser run this file, or create % first',
            current_user, missing;
    END IF;
    -- The same lock as a migration takes, so that the two wait for each other.
    LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE;
    FOREACH role IN ARRAY coalesce(string_to_array(missing, ', '), '{}') LOOP
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        RAISE NOTICE 'created role %', role;
    END LOOP;
    -- An existing role may have been created by someone else. A member of a role can act as that role, with all rights that
    -- it has beyond this file.
    SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) INTO mightier
    FROM pg_roles AS r
    WHERE r.rolname = ANY (ours)
      AND (r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls);
    IF mightier IS NOT NULL THEN
        RAISE EXCEPTION 'these roles can log in or have attributes that contentq does not need: %; run for each: '
                        'ALTER ROLE ... NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS', mightier;
    END IF;
    SELECT string_agg(format('%s of %s', m.member::regrole, m.roleid::regrole), ', ' ORDER BY m.member, m.roleid)
    INTO mightier
    FROM pg_auth_members AS m
    JOIN pg_roles AS r ON r.oid = m.member
    WHERE r.rolname = ANY (ours);
    IF mightier IS NOT NULL THEN
        RAISE WARNING 'roles of contentq are members of other roles, and so have more rights than sql/roles.sql grants: %',
            mightier;
    END IF;

    -- A role that created contentq_definer before this file may have kept a way to act as it: as a member, or through a
    -- function that runs with its rights. The owner of the queue is a member, and so are owners of queues in other
    -- databases.
    SELECT coalesce(array_agg(r.oid), '{}')
    INTO owners
    FROM pg_roles AS r
    WHERE r.rolsuper
       OR EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = 'contentq' AND n.nspowner = r.oid)
       OR EXISTS (SELECT
                  FROM pg_shdepend AS s
                  JOIN pg_shdepend AS f ON f.dbid = s.dbid
                  WHERE s.classid = 'pg_namespace'::regclass
                    AND s.refclassid = 'pg_authid'::regclass
                    AND s.refobjid = r.oid
                    AND s.deptype = 'o'
                    AND f.classid = 'pg_proc'::regclass
                    AND f.refclassid = 'pg_authid'::regclass
                    AND f.refobjid = 'contentq_definer'::regrole
                    AND f.deptype = 'o'
                    AND f.dbid <> (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()));
    SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
    INTO mightier
    FROM pg_roles AS r
    WHERE r.rolname <> 'contentq_definer'
      AND pg_has_role(r.oid, 'contentq_definer', 'MEMBER')
      AND NOT EXISTS (SELECT FROM unnest(owners) AS o (oid) WHERE pg_has_role(r.oid, o.oid, 'MEMBER'));
    IF mightier IS NOT NULL THEN
        RAISE EXCEPTION 'contentq_definer has members other than owners of queues, who would have the rights of all functions of '
                        'contentq: %; as a superuser, run for each: REVOKE contentq_definer FROM ...', mightier;
    END IF;
    SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ' ORDER BY d.classid, d.objid)
    INTO mightier
    FROM pg_shdepend AS d
    LEFT JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
    WHERE d.dbid = (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database())
      AND d.refclassid = 'pg_authid'::regclass
      AND d.refobjid = 'contentq_definer'::regrole
      AND d.deptype = 'o'
      AND p.pronamespace IS DISTINCT FROM 'contentq'::regnamespace;
    IF mightier IS NOT NULL THEN
        RAISE EXCEPTION 'contentq_definer owns objects outside contentq, through which others may act with its rights: %; drop '
                        'them or change their owner', left(mightier, 500);
    END IF;
    SELECT string_agg(format('%s of %s', m.member::regrole, m.roleid::regrole), ', ' ORDER BY m.member, m.roleid)
    INTO mightier
    FROM pg_auth_members AS m
    JOIN pg_roles AS r ON r.oid = m.roleid
    WHERE r.rolname = ANY (ours)
      AND m.admin_option
      AND NOT EXISTS (SELECT FROM unnest(owners) AS o (oid) WHERE pg_has_role(m.member, o.oid, 'MEMBER'));
    IF mightier IS NOT NULL THEN
        RAISE WARNING 'these members may grant roles of contentq to anyone (admin option): %', mightier;
    END IF;

    -- The owner, who migrates, replaces functions that belong to contentq_definer.
    SELECT r.rolname INTO owner
    FROM pg_namespace AS n
    JOIN pg_roles AS r ON r.oid = n.nspowner
    WHERE n.nspname = 'contentq'
      AND NOT r.rolsuper;
    IF FOUND AND NOT (pg_has_role(owner, 'contentq_definer', 'USAGE')
                      AND pg_has_role(owner, 'contentq_definer', CASE WHEN has_options THEN 'SET' ELSE 'MEMBER' END))
    THEN
        BEGIN
            EXECUTE format('GRANT contentq_definer TO %I', owner)
                    || CASE WHEN has_options THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION '% owns the queue and must be a member of contentq_definer; as a superuser, run: '
                                'GRANT contentq_definer TO %', owner, quote_ident(owner);
        END;
        RAISE NOTICE 'granted contentq_definer to %, the owner of the queue', owner;
    END IF;

    SELECT t.schema_name INTO tables_schema FROM contentq.tables AS t WHERE t.table_name = 'content_generation_tasks';
    GRANT USAGE ON SCHEMA contentq
        TO contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer, contentq_definer;
    -- Schema public may belong to another role that lets everyone use it.
    IF pg_has_role((SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = tables_schema), 'USAGE')
        OR EXISTS (SELECT
                   FROM pg_roles AS r
                   WHERE r.rolname = ANY (ours)
                     AND NOT has_schema_privilege(r.oid, tables_schema, 'USAGE'))
    THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I '
                       'TO contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer, '
                       'contentq_definer',
                       tables_schema);
    END IF;
    -- For the following statements, which look up nothing but names of tables.
    PERFORM set_config('search_path', format('pg_catalog, %I, pg_temp', tables_schema), true);
END;
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA contentq
    FROM contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer, contentq_definer;
REVOKE ALL ON content_generation_tasks, accounts, contents
    FROM contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer, contentq_definer;

GRANT SELECT ON content_generation_tasks, accounts, contents, contentq.alembic_version
    TO contentq_producer, contentq_operator, contentq_reader, contentq_reviewer;

-- Programs use the tables through these views, whatever schema the tables are in: the rights are those on the tables.
GRANT SELECT ON contentq.tasks, contentq.accounts, contentq.contents, contentq.tables, contentq.batches
    TO contentq_producer, contentq_operator, contentq_reader, contentq_reviewer;
GRANT UPDATE (paused_until, monthly_budget, share, max_running) ON contentq.accounts TO contentq_operator;

-- The views that reviewers need. They write to no table: approve() and reject() do.
GRANT SELECT ON contentq.review_queue, contentq.content_versions, contentq.queue_overview, contentq.backlog_by_account,
    contentq.recent_failures TO contentq_reviewer;

-- The columns that a producer may set, and status, which programs often include although it can only be pending. An ORM
-- that includes every column needs INSERT on the whole table: the trigger content_generation_tasks_forged refuses forged
-- values.
GRANT INSERT (
    task_id, account_id, status, priority, topic, keywords, category, requirements, tone, auto_approve, max_retries,
    submitted_at, scheduled_at, timeout_at, batch, traceparent
) ON content_generation_tasks, contentq.tasks TO contentq_producer;

-- The tables that contentq worker reads directly. It writes to no table.
GRANT SELECT ON content_generation_tasks, contents, contentq.tasks, contentq.contents, contentq.tables,
    contentq.alembic_version, contentq.workers TO contentq_worker;

-- By column: operators may not change the account of a task, what it produced, or whether that needs review.
GRANT UPDATE (
    topic, keywords, category, requirements, tone, status, priority, retry_count, max_retries, submitted_at, started_at,
    completed_at, timeout_at, error_message, updated_at, scheduled_at, cancel_requested_at, progress, progress_note,
    revision_count, revision_note
), DELETE ON content_generation_tasks, contentq.tasks TO contentq_operator;
GRANT UPDATE ON contentq.settings TO contentq_operator;
-- By column: not what a gate has learned, which claims compute with.
GRANT INSERT (key, opens_at, reason, half_open, closed_at, closed_by, requests_per_minute, tokens_per_minute, max_running),
    UPDATE (opens_at, reason, half_open, closed_at, closed_by, requests_per_minute, tokens_per_minute, max_running), DELETE
    ON contentq.gates TO contentq_operator;
GRANT UPDATE (paused_until, monthly_budget, share, max_running) ON accounts TO contentq_operator;

GRANT SELECT ON ALL TABLES IN SCHEMA contentq TO contentq_operator, contentq_reader;

-- The columns that the functions change, which are fewer than those that the owner of the tables may change.
GRANT SELECT, DELETE, UPDATE (
    status, started_at, completed_at, timeout_at, attempt, retry_count, scheduled_at, worker_id, cancel_requested_at,
    result, content_id, error_message, attempt_errors, progress, progress_note, gate, gate_entered_at,
    handler_state, revision_count, revision_note, ready_at, updated_at
) ON content_generation_tasks TO contentq_definer;
-- paused_until: UPDATE is needed to test row locks.
GRANT SELECT, UPDATE (paused_until, monthly_budget) ON accounts TO contentq_definer;
GRANT SELECT, INSERT (account_id, title, body, word_count, review_status, generation_task_id, review_note),
    UPDATE (review_status, generation_task_id, reviewed_by, reviewed_at, review_note) ON contents TO contentq_definer;
GRANT SELECT, INSERT, DELETE, UPDATE ON contentq.awaited TO contentq_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON contentq.workers, contentq.claimers TO contentq_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON contentq.dead_workers TO contentq_definer;
GRANT SELECT ON contentq.settings, contentq.blocked_accounts TO contentq_definer;
GRANT SELECT, UPDATE ON contentq.maintenance, contentq.wakeups, contentq.silent_commits, contentq.cap_locks TO contentq_definer;
GRANT SELECT, INSERT, UPDATE ON contentq.gates, contentq.usage, contentq.durations, contentq.failure_counts
    TO contentq_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON contentq.gate_events, contentq.gate_counts, contentq.budgets, contentq.budget_events
    TO contentq_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON contentq.provider_batches, contentq.batch_requests TO contentq_definer;

SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    roles constant text := 'contentq_producer, contentq_worker, contentq_operator, contentq_reader, '
        'contentq_reviewer';
    tables_schema constant text := (
        SELECT t.schema_name FROM contentq.tables AS t WHERE t.table_name = 'content_generation_tasks'
    );
    functions constant jsonb := '{
        "contentq_worker": [
            "register_worker", "heartbeat", "drain_worker", "deregister_worker", "claim", "next_claim_in", "waits_for",
            "anything_waits", "earlier_content", "most_alike", "enter_gate", "leave_gate",
            "complete", "store", "fail", "revise", "snooze", "release", "record_usage", "report_progress", "locked_tasks",
            "close_gate", "maintain",
            "ask_batch", "batch_answer", "open_batch", "next_batch", "hold_batch", "batch_lines", "batch_sizes", "note_batch",
            "answer_batch", "close_batch", "sweep_batches"
        ],
        "contentq_operator": [
            "cancel", "requeue", "cancel_matching", "requeue_matching", "delete_matching", "open_gate", "close_gate", "set_gate",
            "set_budget", "unset_budget", "sweep_timeouts", "rescue_dead_workers", "promote_scheduled", "cleanup",
            "cleanup_failed", "maintain"
        ],
        "contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer": [
            "matching_tasks", "count_matching", "select_tasks", "selected_statuses", "error_group"
        ],
        "contentq_producer, contentq_operator, contentq_reader, contentq_reviewer": [
            "latest_batches", "wait_channel", "await_end", "is_changing", "notify_waiters", "statuses_of"
        ],
        "contentq_reviewer": ["approve", "reject", "approve_matching", "reject_matching"],
        "contentq_operator, contentq_reader, contentq_reviewer": ["matching_contents", "task_of_content"],
        "contentq_operator, contentq_reader": [
            "group_errors", "shorten", "latency",
            "explain", "explain_waiting", "explain_own", "explain_account", "explain_workers", "explain_fleet",
            "explain_order", "explain_ahead", "explain_before", "explain_fair", "explain_aging", "rough_duration",
            "is_ready", "is_of", "is_batch_wanted", "has_answer", "left_out_accounts", "account_room", "account_fits",
            "open_categories", "budget_key", "budget_cost",
            "has_budgets", "budgets_of", "budget_room", "budget_refusals", "budget_holds", "budget_spent",
            "budget_start", "budget_end", "used_up_budgets", "over_budget", "explain_budgets", "median_duration", "misses_deadline",
            "ready_accounts", "fair_accounts", "fair_quotas", "aged_tasks", "worker_wait", "workers_wait",
            "own_wait", "waits_for", "failing_wait", "gates_state",
            "at_the_door", "gate_wait", "gate_state", "gate_pace", "gate_cap",
            "gate_cycle", "gate_rate", "gate_running", "unregistered_holders", "unregistered_running", "gate_totals",
            "gate_closure_text", "judge_gate", "judge_unanswered", "judge_refusals", "judge_cap", "end_cap", "learn_cap", "try_cap", "judge_trial", "end_trial", "gate_used_up",
            "gate_outage", "gate_refused", "gate_refusals", "backoff",
            "doctor", "doctor_definitions", "ids_used", "doctor_ids", "doctor_indexes", "doctor_vacuum", "doctor_sessions",
            "doctor_server", "doctor_host_tables", "doctor_rights", "doctor_prices", "doctor_workers", "doctor_waiting",
            "session_text", "lock_holder"
        ]
    }';
    ours oid[];
    missing text;
    each record;
    moved integer := 0;
BEGIN
    -- A serial column of a host's table, unlike an identity column, takes its values with the rights of the inserting role.
    FOR each IN
        SELECT DISTINCT s.oid::regclass AS sequence
        FROM pg_attrdef AS a
        JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
        WHERE a.adrelid = format('%I.contents', tables_schema)::regclass
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO contentq_definer', each.sequence);
    END LOOP;
    -- refuse_forged_task() compares an id with the last value of the session.
    FOR each IN
        SELECT s.oid::regclass AS sequence, false AS is_default
        FROM pg_class AS s
        WHERE s.oid = pg_get_serial_sequence(format('%I.content_generation_tasks', tables_schema), 'id')::regclass
        UNION
        SELECT s.oid::regclass, true
        FROM pg_attrdef AS a
        JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S'
        WHERE a.adrelid = format('%I.content_generation_tasks', tables_schema)::regclass
    LOOP
        EXECUTE format('GRANT SELECT ON SEQUENCE %s TO contentq_definer', each.sequence);
        IF each.is_default THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO contentq_producer', each.sequence);
        END IF;
    END LOOP;

    -- The digests were computed with this search_path, in which none of the three tables is visible. Functions of a host
    -- have no digest.
    ours := ARRAY(
        SELECT p.oid
        FROM pg_proc AS p
        JOIN contentq.definitions AS d ON d.kind = 'function' AND d.name = p.proname
        WHERE p.pronamespace = 'contentq'::regnamespace
          AND d.installed = md5(pg_get_functiondef(p.oid) || coalesce(obj_description(p.oid, 'pg_proc'), ''))
    );
    SELECT string_agg(DISTINCT n.name, ', ' ORDER BY n.name)
    INTO missing
    FROM jsonb_each(functions) AS f (role, names)
    CROSS JOIN jsonb_array_elements_text(f.names) AS n (name)
    WHERE NOT EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = ANY (ours) AND p.proname = n.name);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'functions of contentq are missing or were changed: %; run: contentq migrate', missing;
    END IF;

    -- A new owner needs the right to create in the schema, only while the owner changes.
    GRANT CREATE ON SCHEMA contentq TO contentq_definer;
    FOR each IN
        SELECT p.oid::regprocedure AS function
        FROM pg_proc AS p
        WHERE p.oid = ANY (ours)
          AND p.prosecdef
          AND p.proowner <> 'contentq_definer'::regrole
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO contentq_definer', each.function);
        moved := moved + 1;
    END LOOP;
    REVOKE CREATE ON SCHEMA contentq FROM contentq_definer;
    IF moved > 0 THEN
        RAISE NOTICE 'made contentq_definer the owner of % functions', moved;
    END IF;

    EXECUTE (SELECT format('REVOKE ALL ON FUNCTION %s FROM %s',
                           string_agg(o.oid::regprocedure::text, ', ' ORDER BY o.oid), roles)
             FROM unnest(ours) AS o (oid));
    FOR each IN
        SELECT f.role, string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) AS functions
        FROM jsonb_each(functions) AS f (role, names)
        JOIN pg_proc AS p ON p.oid = ANY (ours) AND f.names ? p.proname::text
        GROUP BY f.role
        UNION ALL
        SELECT 'contentq_definer', string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid)
        FROM pg_proc AS p
        WHERE p.oid = ANY (ours)
          AND NOT p.prosecdef
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', each.functions, each.role);
    END LOOP;
    RAISE NOTICE 'granted %, contentq_definer exactly the rights in sql/roles.sql', roles;
END;
$$;

DO $$
DECLARE
    owner constant oid := (
        SELECT n.nspowner
        FROM pg_namespace AS n
        CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
        WHERE n.nspname = 'public'
          AND a.grantee = 0
          AND a.privilege_type = 'CREATE'
    );
BEGIN
    IF owner IS NULL THEN
        RETURN;
    ELSIF pg_has_role(owner, 'USAGE') THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        RAISE NOTICE 'revoked from PUBLIC the right to create objects in schema public';
    ELSE
        RAISE WARNING 'everyone may create objects in schema public, which other sessions may then use unknowingly; as a '
                      'superuser, run: REVOKE CREATE ON SCHEMA public FROM PUBLIC';
    END IF;
END;
$$;

COMMIT;
