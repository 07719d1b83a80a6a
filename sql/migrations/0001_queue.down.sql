-- Reverts 0001: drops the tables that contentq created, with their rows, and what it added to existing tables. Tables that
-- existed before stay, with their rows.
DO $$
DECLARE
    one record;
    statement text;
BEGIN
    FOR one IN
        SELECT t.table_name, t.schema_name, t.is_created, t.added
        FROM contentq.tables AS t
        ORDER BY t.table_name = 'content_generation_tasks' DESC, t.table_name = 'contents' DESC
    LOOP
        IF one.is_created THEN
            EXECUTE format('DROP TABLE IF EXISTS %I.%I', one.schema_name, one.table_name);
        ELSE
            FOREACH statement IN ARRAY one.added LOOP
                EXECUTE statement;
            END LOOP;
        END IF;
    END LOOP;
END;
$$;

DROP TABLE
    contentq.batch_requests, contentq.provider_batches,
    contentq.budget_events, contentq.budgets, contentq.usage, contentq.failure_counts, contentq.durations,
    contentq.cap_locks, contentq.claimers, contentq.gate_events, contentq.gate_counts, contentq.gates,
    contentq.account_roles, contentq.awaited, contentq.wakeups, contentq.silent_commits, contentq.maintenance, contentq.settings,
    contentq.dead_workers, contentq.workers, contentq.definitions, contentq.needed_indexes,
    contentq.tables;
