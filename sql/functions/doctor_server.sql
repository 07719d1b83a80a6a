-- Finds problems in the settings of the server and the database: encoding, collation, notifications, connections.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_server()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH here AS (SELECT d.* FROM pg_database AS d WHERE d.datname = current_database())
    SELECT 'error', 'encoding', current_database()::text, 'its encoding is ' || pg_encoding_to_char(d.encoding),
           'Texts in other languages are refused, and some error messages of contentq too.',
           'dump it and restore it into a database created with: CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0'
    FROM here AS d
    WHERE pg_encoding_to_char(d.encoding) <> 'UTF8'
    UNION ALL
    SELECT 'warning', 'collation_changed', current_database()::text,
           format('its indexes were built with version %s of the collation, but the system has %s', d.datcollversion,
                  coalesce(pg_database_collation_actual_version(d.oid), 'none')),
           'The sort order may have changed since the indexes were built: rows are not found, or appear twice.',
           format('REINDEX DATABASE %I; ALTER DATABASE %I REFRESH COLLATION VERSION', d.datname, d.datname)
    FROM here AS d
    WHERE d.datcollversion IS NOT NULL
      AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
    UNION ALL
    SELECT CASE WHEN q.used >= 0.5 THEN 'error' ELSE 'warning' END, 'notify_queue', 'server',
           format('the notification queue is %s %% full', round(q.used::numeric * 100)),
           'From 50 % on, contentq wakes no workers, so tasks wait for the next poll; when it is full, every transaction with a '
           'NOTIFY fails.',
           'end the session that listens and is in a long transaction (the log of the server names it): '
           'SELECT pid, xact_start, application_name FROM pg_stat_activity WHERE state LIKE ''idle in%'' ORDER BY xact_start'
    FROM (SELECT pg_notification_queue_usage() AS used) AS q
    WHERE q.used >= 0.1
    UNION ALL
    SELECT 'error', 'read_only', current_database()::text,
           CASE WHEN pg_is_in_recovery() THEN 'the server is a standby' ELSE 'its transactions are read-only' END,
           'Nothing can be submitted, claimed or reported here.',
           CASE WHEN pg_is_in_recovery() THEN 'connect to the primary'
                ELSE format('ALTER DATABASE %I RESET default_transaction_read_only (or ALTER ROLE, or the setting of the server)',
                            current_database()) END
    WHERE pg_is_in_recovery()
       OR current_setting('default_transaction_read_only')::boolean
    UNION ALL
    SELECT 'warning', 'connections_used', c.of_what,
           format('%s of %s connections are in use', c.used, c.most),
           'When none is left, workers that lost their connections cannot reconnect, and producers are refused.',
           'use a pooler such as PgBouncer, or raise ' || c.fix
    FROM (
        SELECT 'server' AS of_what, sum(s.numbackends) AS used,
               current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS most,
               'max_connections (needs a restart)' AS fix
        FROM pg_stat_database AS s
        WHERE s.datid <> 0
        UNION ALL
        SELECT d.datname, s.numbackends, d.datconnlimit,
               format('the limit of the database: ALTER DATABASE %I CONNECTION LIMIT ...', d.datname)
        FROM here AS d
        JOIN pg_stat_database AS s ON s.datid = d.oid
        WHERE d.datconnlimit >= 0
    ) AS c
    WHERE c.used >= 0.8 * c.most
    UNION ALL
    SELECT v.severity, 'setting', v.name, format('%s is %s', v.name, current_setting(v.name, true)), v.why, v.fix
    FROM (VALUES
        ('fsync', 'off', 'error',
         'After a crash of the machine, the whole database may be lost.', 'ALTER SYSTEM RESET fsync; SELECT pg_reload_conf()'),
        ('full_page_writes', 'off', 'error',
         'After a crash of the machine, tables may be corrupt.', 'ALTER SYSTEM RESET full_page_writes; SELECT pg_reload_conf()'),
        ('synchronous_commit', 'off', 'advice',
         'After a crash, the latest submitted tasks are lost, and the latest ended ones may run again.',
         'ALTER SYSTEM RESET synchronous_commit; SELECT pg_reload_conf() (or ALTER DATABASE, ALTER ROLE)'),
        ('session_replication_role', 'replica', 'error',
         'No trigger fires: no worker is woken, and no row is checked.',
         format('ALTER DATABASE %I RESET session_replication_role (or ALTER ROLE)', current_database()))
    ) AS v (name, bad, severity, why, fix)
    WHERE current_setting(v.name) = v.bad
    UNION ALL
    SELECT 'warning', 'setting', s.name, format('%s is %s%s', s.name, s.setting, coalesce(' ' || s.unit, '')),
           'It ends idle or long sessions of workers, which then reconnect again and again.',
           format('ALTER ROLE ... SET %s = 0, for the logins of workers', s.name)
    FROM pg_settings AS s
    WHERE s.name IN ('idle_session_timeout', 'transaction_timeout')
      AND s.setting::bigint BETWEEN 1 AND 60000
    UNION ALL
    SELECT 'advice', 'setting', 'shared_buffers',
           format('the indexes of the tasks (%s) do not fit into shared_buffers (%s)', pg_size_pretty(i.size),
                  pg_size_pretty(i.buffers)),
           'Each claim reads some of them; what does not fit is read from disk.',
           'raise shared_buffers, up to a quarter of the memory (needs a restart)'
    FROM (
        SELECT pg_indexes_size('public.content_generation_tasks') AS size,
               pg_size_bytes(current_setting('shared_buffers')) AS buffers
    ) AS i
    WHERE i.size > i.buffers
      AND i.buffers < 1024 * 1024 * 1024;
$$;

COMMENT ON FUNCTION contentq.doctor_server() IS
    'Internal: findings of doctor() about settings of the server and the database.';
