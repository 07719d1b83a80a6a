-- Finds long transactions: those that have locked rows of contentq, those that keep dead rows from being removed, and idle
-- ones.
-- Called by: doctor(). Locks: nothing.
-- patience: how long a transaction may be open; with locks on tables of contentq, at most a minute.
-- Returns: the findings, one for each session. PostgreSQL shows the times of other users' sessions only to members of
-- pg_read_all_stats; other callers get a finding about that.
CREATE OR REPLACE FUNCTION contentq.doctor_sessions(patience interval)
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH ours AS MATERIALIZED (
        SELECT c.oid
        FROM pg_class AS c
        WHERE c.relkind IN ('r', 'p')
          AND (c.relnamespace = to_regnamespace('contentq')
               OR c.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                            to_regclass('public.content_generation_tasks')))
    ),
    held AS MATERIALIZED (
        SELECT l.pid, string_agg(DISTINCT format('%s (%s)', l.relation::regclass, l.mode), ', ') AS locks
        FROM pg_locks AS l
        JOIN ours AS o ON o.oid = l.relation
        WHERE l.locktype = 'relation'
          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
          AND l.granted
          AND l.mode <> 'AccessShareLock'
        GROUP BY l.pid
    ),
    sessions AS (
        SELECT s.pid, s.state, h.locks, clock_timestamp() - s.xact_start AS age,
               s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL AS keeps_dead_rows,
               (SELECT count(*)
                FROM pg_locks AS w
                WHERE NOT w.granted
                  AND w.locktype = 'transactionid'
                  AND w.transactionid = s.backend_xid) AS waiting
        FROM pg_stat_activity AS s
        LEFT JOIN held AS h ON h.pid = s.pid
        WHERE s.datname = current_database()
          AND s.backend_type = 'client backend'
          AND s.pid <> pg_backend_pid()
          AND s.xact_start < clock_timestamp()
                             - CASE WHEN h.locks IS NULL THEN doctor_sessions.patience
                                    ELSE least(doctor_sessions.patience, interval '1 minute') END
    )
    SELECT 'warning', f.finding, contentq.session_text(s.pid),
           format('its transaction has been open for %s', date_trunc('second', s.age))
           || CASE f.finding
                  WHEN 'rows_locked'
                  THEN format(', and it has locks on %s', s.locks)
                       || CASE WHEN s.waiting > 0 THEN format('; sessions that wait for it: %s', s.waiting) ELSE '' END
                  ELSE ''
              END,
           CASE f.finding
               WHEN 'rows_locked'
               THEN 'Tasks whose rows it has locked can be neither claimed nor reported, and dead rows stay until it ends.'
               WHEN 'old_snapshot'
               THEN 'Dead rows created since then cannot be removed from any table: claims get slower until it ends.'
               ELSE 'It does nothing, but may block a migration.'
           END,
           format('SELECT pg_terminate_backend(%s)', s.pid)
           || CASE WHEN s.state LIKE 'idle in transaction%'
                   THEN format('; to prevent it: ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''10min''',
                               current_database())
                   ELSE '' END
    FROM sessions AS s
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.locks IS NOT NULL THEN 'rows_locked'
                    WHEN s.keeps_dead_rows THEN 'old_snapshot'
                    WHEN s.state LIKE 'idle in transaction%' THEN 'idle_transaction' END AS finding
    ) AS f
    WHERE f.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', 'old_snapshot', format('prepared transaction %L', p.gid),
           format('prepared %s ago by %s, and neither committed nor rolled back',
                  date_trunc('second', clock_timestamp() - p.prepared), p.owner),
           'Dead rows created since then cannot be removed from any table, and its locks stay, even after a restart.',
           format('COMMIT PREPARED %L, or ROLLBACK PREPARED %L', p.gid, p.gid)
    FROM pg_prepared_xacts AS p
    WHERE p.database = current_database()
      AND p.prepared < clock_timestamp() - doctor_sessions.patience
    UNION ALL
    SELECT 'warning', 'old_snapshot', format('replication slot %I', r.slot_name),
           format('%s, and it keeps dead rows of the last %s transactions',
                  CASE WHEN r.active THEN 'in use' ELSE 'not in use' END, age(r.xmin)),
           'Dead rows created since then cannot be removed from any table: claims get slower until it ends.',
           CASE WHEN r.active THEN 'look for long queries on the standby that uses it'
                ELSE format('if its standby is gone for good: SELECT pg_drop_replication_slot(%L)', r.slot_name) END
    FROM pg_replication_slots AS r
    WHERE r.xmin IS NOT NULL
      AND (NOT r.active OR age(r.xmin) > 10000000)
    UNION ALL
    SELECT 'advice', 'unseen', 'sessions', format('%s may not see how long sessions of other users have been open', session_user),
           'Long transactions of other users stay unknown.',
           format('GRANT pg_read_all_stats TO %I', session_user)
    WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE')
    ORDER BY 2, 3;
$$;

COMMENT ON FUNCTION contentq.doctor_sessions(interval) IS
    'Internal: findings of doctor() about long transactions.';
