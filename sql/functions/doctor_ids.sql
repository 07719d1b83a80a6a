-- Finds ids that are running out: in a table with ids of 4 bytes, and in narrower columns that refer to a wider one.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
CREATE OR REPLACE FUNCTION contentq.doctor_ids()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN u.percent >= 80 THEN 'error' ELSE 'warning' END,
           'ids_running_out',
           format('%s.%s', u.tab, u.col),
           format('%s %% of the ids that it can hold are used: %s of %s (%s)', floor(u.percent), u.used, u.most, u.type),
           'When all are used, every INSERT fails.',
           CASE WHEN u.sequence IS NOT NULL
                THEN format('ALTER SEQUENCE %s AS %s MAXVALUE %s', u.sequence,
                            CASE u.largest WHEN 32767 THEN 'smallint' WHEN 2147483647 THEN 'integer' ELSE 'bigint' END,
                            u.largest)
                ELSE 'see docs/how-to/widen-ids.md: as many ids are free below zero, and eight bytes are the lasting fix' END
    FROM contentq.ids_used() AS u
    WHERE u.percent >= 50;
$$;

COMMENT ON FUNCTION contentq.doctor_ids() IS
    'Internal: findings of doctor() about ids that are running out.';
