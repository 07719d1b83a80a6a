-- Finds workers without a heartbeat, maintenance that is late, and times in the future.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_workers()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH now_ AS MATERIALIZED (SELECT clock_timestamp() AS at),
    silent AS (
        SELECT count(*) AS number, min(w.heartbeat_at) AS since,
               (array_agg(format('%s (%s, pid %s)', w.id, w.hostname, w.pid) ORDER BY w.heartbeat_at))[:5] AS first_ones,
               sum((SELECT count(*)
                    FROM public.content_generation_tasks AS t
                    WHERE t.worker_id = w.id
                      AND t.status = 'processing')) AS tasks
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        CROSS JOIN now_ AS n
        -- A live worker rescues them within seconds.
        WHERE w.heartbeat_at < n.at - s.heartbeat_timeout - interval '10 seconds'
    )
    SELECT 'warning', 'worker_silent', format('workers: %s', s.number),
           format('no heartbeat for up to %s, running tasks: %s; workers: %s%s', date_trunc('second', n.at - s.since), s.tasks,
                  array_to_string(s.first_ones, ', '), CASE WHEN s.number > 5 THEN ', ...' ELSE '' END),
           'Their tasks stay processing until they are rescued, which any live worker does.',
           CASE WHEN s.tasks > 0 THEN 'start a worker, or run: contentq maintain' ELSE 'contentq maintain' END
    FROM silent AS s
    CROSS JOIN now_ AS n
    WHERE s.number > 0
    UNION ALL
    SELECT 'warning', 'maintenance_late', 'contentq.maintenance',
           CASE WHEN isfinite(m.ran_at) THEN format('it last ran %s ago', date_trunc('second', n.at - m.ran_at))
                ELSE 'it has never run' END
           || CASE WHEN m.xmax <> '0' THEN format('; its row was last locked by %s', contentq.lock_holder(m.xmax)) ELSE '' END,
           'Deadlines, rescues, scheduled tasks and clean-up are delayed although workers are alive.',
           'contentq maintain; if it does not return, end the session that has locked its row'
    FROM contentq.maintenance AS m
    CROSS JOIN now_ AS n
    WHERE m.ran_at < n.at - interval '1 minute'
      AND EXISTS (
          SELECT
          FROM contentq.workers AS w
          CROSS JOIN contentq.settings AS s
          WHERE w.heartbeat_at >= n.at - s.heartbeat_timeout
            AND w.started_at < n.at - interval '1 minute'
      )
    UNION ALL
    SELECT 'warning', 'clock_went_back', 'server',
           format('%s was at %s, which is in the future', f.what, date_trunc('second', f.latest)),
           'Deadlines and heartbeats use the clock of the server: dead workers are found late, and due tasks wait.',
           'set the clock of the server and synchronize it with NTP; then wait until that time has passed'
    FROM (
        SELECT 'the last heartbeat of a worker' AS what, max(w.heartbeat_at) AS latest
        FROM contentq.workers AS w
        UNION ALL
        SELECT 'the last maintenance', max(m.ran_at)
        FROM contentq.maintenance AS m
    ) AS f
    CROSS JOIN now_ AS n
    WHERE f.latest > n.at + interval '5 seconds';
$$;

COMMENT ON FUNCTION contentq.doctor_workers() IS
    'Internal: findings of doctor() about workers without a heartbeat, late maintenance and the clock.';
