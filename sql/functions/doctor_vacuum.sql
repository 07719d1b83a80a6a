-- Finds tables of contentq whose dead rows are not removed.
-- Called by: doctor(). Locks: nothing. Returns: the findings, from PostgreSQL's own statistics.
CREATE OR REPLACE FUNCTION contentq.doctor_vacuum()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH ours AS (
        SELECT c.oid, c.oid::regclass AS name, c.reloptions
        FROM pg_class AS c
        WHERE c.relkind = 'r'
          AND (c.relnamespace = to_regnamespace('contentq')
               OR c.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                            to_regclass('public.content_generation_tasks')))
    )
    SELECT 'error', 'autovacuum_off', 'server', format('%s is off', s.name),
           'Dead rows stay, and every query of contentq gets slower from day to day.',
           format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf(); if it is off for this database or role only: '
                  'ALTER DATABASE %I RESET %s', s.name, current_database(), s.name)
    FROM (VALUES ('autovacuum'), ('track_counts')) AS s (name)
    WHERE current_setting(s.name) = 'off'
    UNION ALL
    SELECT 'warning', 'autovacuum_off', o.name::text, 'autovacuum is disabled for this table',
           'Dead rows stay, and queries of this table get slower from day to day.',
           format('ALTER TABLE %s RESET (autovacuum_enabled)', o.name)
    FROM ours AS o
    CROSS JOIN LATERAL pg_options_to_table(o.reloptions) AS p
    WHERE p.option_name = 'autovacuum_enabled'
      AND NOT p.option_value::boolean
    UNION ALL
    SELECT 'warning', 'dead_rows', o.name::text,
           format('%s dead rows and %s live ones; last autovacuum: %s', s.n_dead_tup, s.n_live_tup,
                  coalesce(to_char(s.last_autovacuum AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'never')),
           'Claims and views read past them. More than a fifth of a table means that autovacuum is behind, or that an old snapshot '
           'keeps them.',
           format('VACUUM (ANALYZE, VERBOSE) %s; if its output says that dead rows cannot be removed yet, end the transaction of '
                  'the finding old_snapshot', o.name)
    FROM ours AS o
    JOIN pg_stat_all_tables AS s ON s.relid = o.oid
    WHERE s.n_dead_tup >= 10000
      AND s.n_dead_tup > 0.4 * s.n_live_tup;
$$;

COMMENT ON FUNCTION contentq.doctor_vacuum() IS
    'Internal: findings of doctor() about dead rows and autovacuum.';
