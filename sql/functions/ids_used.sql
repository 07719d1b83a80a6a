-- Computes how many of the ids that a column can hold are used, for each id of the three tables and each narrower column
-- that refers to a wider one.
-- Called by: doctor_ids(), contentq metrics. Locks: nothing.
-- Returns: a row for each column: used of most ids, which is percent. sequence: the sequence, if it ends before the type of
--          the id; largest: the largest number of that type.
-- It reads the last value of a sequence if the caller may; otherwise it uses the largest id in the table. With negative
-- ids, as docs/how-to/widen-ids.md describes for a nearly full range, it counts those.
CREATE OR REPLACE FUNCTION contentq.ids_used()
RETURNS TABLE (
    tab text,
    col text,
    type text,
    used bigint,
    most bigint,
    percent numeric,
    sequence regclass,
    largest bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    each record;
    in_table bigint;
BEGIN
    FOR each IN
        WITH columns AS (
            SELECT c.place, c.tab, c.col, c.of_tab, a.attrelid, a.attnum,
                   format_type(a.atttypid, NULL) AS type,
                   CASE coalesce(nullif(y.typbasetype, 0), y.oid)
                       WHEN 'int2'::regtype THEN 32767
                       WHEN 'int4'::regtype THEN 2147483647
                       ELSE 9223372036854775807
                   END AS largest
            FROM (VALUES
                (1, 'accounts', 'id', 'accounts'),
                (2, 'contents', 'id', 'contents'),
                (3, 'content_generation_tasks', 'id', 'content_generation_tasks'),
                (4, 'contents', 'account_id', 'accounts'),
                (5, 'content_generation_tasks', 'account_id', 'accounts'),
                (6, 'content_generation_tasks', 'content_id', 'contents'),
                (7, 'contents', 'generation_task_id', 'content_generation_tasks')
            ) AS c (place, tab, col, of_tab)
            JOIN pg_attribute AS a ON a.attrelid = to_regclass('public.' || c.tab) AND a.attname = c.col
            JOIN pg_type AS y ON y.oid = a.atttypid
        )
        SELECT c.*, s.sequence, s.last_value, s.seqmin, s.seqmax
        FROM columns AS c
        JOIN columns AS o ON o.tab = c.of_tab AND o.col = 'id'
        LEFT JOIN LATERAL (
            SELECT q.seqrelid::regclass AS sequence, q.seqmin, q.seqmax,
                   CASE WHEN has_sequence_privilege(q.seqrelid, 'SELECT, USAGE')
                        THEN pg_sequence_last_value(q.seqrelid) END AS last_value
            FROM pg_sequence AS q
            WHERE q.seqrelid = pg_get_serial_sequence(o.attrelid::regclass::text, 'id')::regclass
               OR q.seqrelid IN (
                   SELECT d.refobjid
                   FROM pg_attrdef AS f
                   JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
                   WHERE f.adrelid = o.attrelid
                     AND f.adnum = o.attnum
                     AND d.refclassid = 'pg_class'::regclass
               )
            LIMIT 1
        ) AS s ON true
        WHERE c.col = 'id' OR c.largest < o.largest
        ORDER BY c.place
    LOOP
        in_table := NULL;
        -- Under row level security, max(id) cannot use the index.
        IF NOT row_security_active('public.' || each.of_tab) THEN
            EXECUTE format('SELECT max(t.id) FROM public.%I AS t%s', each.of_tab,
                           CASE WHEN each.seqmin < 0 THEN ' WHERE t.id < 0' ELSE '' END)
            INTO in_table;
        END IF;
        tab := each.tab;
        col := each.col;
        type := each.type;
        largest := each.largest;
        sequence := CASE WHEN each.col = 'id' AND each.seqmax < each.largest THEN each.sequence END;
        used := coalesce(greatest(in_table, each.last_value), 0);
        most := CASE WHEN each.col = 'id' THEN least(each.largest, each.seqmax) ELSE each.largest END;
        IF each.seqmin < 0 AND coalesce(greatest(in_table, each.last_value), each.seqmin) < 0 THEN
            -- Negative ids are in use, up to where the others began.
            used := coalesce(greatest(in_table, each.last_value), each.seqmin) - each.seqmin;
            most := -each.seqmin;
        END IF;
        percent := 100.0 * used / most;
        RETURN NEXT;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.ids_used() IS
    'Internal: how many of the ids that each id column of the three tables can hold are used.';
