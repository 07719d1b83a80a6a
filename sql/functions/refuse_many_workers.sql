-- Refuses a login that has registered its maximum number of workers, because views and maintenance read every worker; and
-- one whose workers have too many different lists of gates, because views evaluate each gate of each list.
-- Called by: register_worker(). Locks: nothing; concurrent registrations may exceed the limit a little. Returns: nothing.
-- Raises: 53400.
CREATE OR REPLACE FUNCTION contentq.refuse_many_workers(gates text[])
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant integer := (SELECT s.max_workers_per_login FROM contentq.settings AS s);
    most_gates constant integer := greatest(most, 1000);
    subject constant text := CASE
        WHEN (SELECT count(*) FROM contentq.workers AS w WHERE w.login = session_user) >= most
        THEN format('%s registered workers', most)
        WHEN cardinality(refuse_many_workers.gates) + (
            SELECT sum(cardinality(l.gates))
            FROM (
                SELECT DISTINCT w.gates
                FROM contentq.workers AS w
                WHERE w.login = session_user
                  AND w.gates <> refuse_many_workers.gates
            ) AS l
        ) > most_gates
        THEN format('workers with lists of %s gates', most_gates)
    END;
BEGIN
    IF subject IS NOT NULL THEN
        RAISE EXCEPTION 'login % already has %, which is the maximum', session_user, subject
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'Stop some of them, or have an operator raise contentq.settings.max_workers_per_login.';
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.refuse_many_workers(text[]) IS
    'Internal: raises 53400 if the login has registered as many workers as settings.max_workers_per_login allows.';
