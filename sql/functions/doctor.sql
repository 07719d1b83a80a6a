-- Looks for what is wrong, or soon will be: of the schema, the server, the sessions, the workers and the tasks.
-- Called by: people and monitors, as contentq doctor. Locks: nothing, and changes nothing.
-- patience: how long a transaction may be open before it is told. Returns: a row for each finding, none when all is well.
-- What one looks at, a function of its own each finds; one that fails, or that the caller may not run, holds up no other. Each
-- reads a bounded number of rows, whatever the tables hold.
CREATE OR REPLACE FUNCTION contentq.doctor(patience interval DEFAULT '10 minutes')
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, mend text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['definitions', 'ids', 'indexes', 'vacuum', 'sessions', 'server', 'host_tables', 'rights',
                                'prices', 'workers', 'waiting']
    LOOP
        BEGIN
            RETURN QUERY EXECUTE format('SELECT d.* FROM contentq.%I(%s) AS d', 'doctor_' || kind,
                                        CASE WHEN kind = 'sessions' THEN '$1' ELSE '' END)
                USING doctor.patience;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RETURN QUERY SELECT
                    'advice', 'unseen', kind, 'this could not be looked at: ' || SQLERRM,
                    'What is wrong with it stays unknown.',
                    'run contentq doctor as the owner of the queue, or as a member of contentq_operator or contentq_reader';
            WHEN OTHERS THEN
                RETURN QUERY SELECT
                    'error', 'check_failed', kind, 'this could not be looked at: ' || SQLERRM,
                    'Something that contentq needs is missing or was altered.',
                    'contentq migrate';
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.doctor(interval) IS
    'What is wrong, or soon will be, a row each: severity (error, warning or advice), finding, what it is about, what was found, '
    'why it matters, and what mends it. patience: how long a transaction may be open before it is told.';
