-- Finds workers that are silent, housekeeping that is held up, and times that the clock has not come to yet.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_workers()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, mend text)
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
        -- A live one finds it within seconds.
        WHERE w.heartbeat_at < n.at - s.heartbeat_timeout - interval '10 seconds'
    )
    SELECT 'warning', 'worker_silent', format('workers: %s', s.number),
           format('not heard for %s at most, with %s running tasks: %s%s', date_trunc('second', n.at - s.since), s.tasks,
                  array_to_string(s.first_ones, ', '), CASE WHEN s.number > 5 THEN ', ...' ELSE '' END),
           'Their tasks stay where they are until someone takes them back; a live worker does so.',
           CASE WHEN s.tasks > 0 THEN 'start a worker, or: contentq maintain' ELSE 'contentq maintain' END
    FROM silent AS s
    CROSS JOIN now_ AS n
    WHERE s.number > 0
    UNION ALL
    SELECT 'warning', 'maintenance_late', 'contentq.maintenance',
           CASE WHEN isfinite(m.ran_at) THEN format('it ran last %s ago', date_trunc('second', n.at - m.ran_at))
                ELSE 'it has never run' END
           || CASE WHEN m.xmax <> '0' THEN format('; its row was locked last by %s', contentq.lock_holder(m.xmax)) ELSE '' END,
           'Deadlines, rescues, scheduled tasks and clean-up wait, though there are live workers.',
           'contentq maintain; if that does not return, end the session that holds its row'
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
           format('something happened at %s, which is still to come: %s', date_trunc('second', f.latest), f.what),
           'Deadlines and heartbeats go by the clock of the server: silent workers are found late, and tasks that are due wait.',
           'set the clock of the server, and let it be kept by NTP; then wait until that time has come'
    FROM (
        SELECT 'the last heartbeat of a worker' AS what, max(w.heartbeat_at) AS latest
        FROM contentq.workers AS w
        UNION ALL
        SELECT 'the last housekeeping', max(m.ran_at)
        FROM contentq.maintenance AS m
    ) AS f
    CROSS JOIN now_ AS n
    WHERE f.latest > n.at + interval '5 seconds';
$$;

COMMENT ON FUNCTION contentq.doctor_workers() IS
    'Internal: findings of doctor() about silent workers, housekeeping that is held up, and the clock.';
