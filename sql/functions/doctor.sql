-- Finds what is wrong, or soon will be, with the schema, the server, sessions, workers and tasks.
-- Called by: people and monitors, as contentq doctor. Locks: nothing; it changes nothing.
-- patience: how long a transaction may be open before it is reported. Returns: a row for each finding; no rows if all is
-- well.
-- Each check is a function; a check that fails, or that the caller may not run, does not stop the others. Each reads a
-- bounded number of rows, whatever the tables contain.
CREATE OR REPLACE FUNCTION contentq.doctor(patience interval DEFAULT '10 minutes')
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, fix text)
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
                    'advice', 'unseen', kind, 'this could not be checked: ' || SQLERRM,
                    'Problems there stay unknown.',
                    'run contentq doctor as the owner of the queue, or as a member of contentq_operator or contentq_reader';
            WHEN OTHERS THEN
                RETURN QUERY SELECT
                    'error', 'check_failed', kind, 'this could not be checked: ' || SQLERRM,
                    'An object that contentq needs is missing or was changed.',
                    'contentq migrate';
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.doctor(interval) IS
    'What is wrong, or soon will be, one row for each finding: severity (error, warning or advice), finding, subject, what '
    'was found (detail), why it matters (why), and the command that fixes it (fix). patience: how long a transaction may '
    'be open before it is reported.';
