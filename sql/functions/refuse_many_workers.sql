-- Refuses a login that has registered its maximum number of workers, because views and maintenance read every worker.
-- Called by: register_worker(). Locks: nothing; concurrent registrations may exceed the limit a little. Returns: nothing.
-- Raises: 53400.
CREATE OR REPLACE FUNCTION contentq.refuse_many_workers()
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most constant integer := (SELECT s.max_workers_per_login FROM contentq.settings AS s);
BEGIN
    IF (SELECT count(*) FROM contentq.workers AS w WHERE w.login = session_user) >= most THEN
        RAISE EXCEPTION 'login % already has % registered workers, which is the maximum', session_user, most
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'Stop some of them, or have an operator raise contentq.settings.max_workers_per_login.';
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.refuse_many_workers() IS
    'Internal: raises 53400 if the login has registered as many workers as settings.max_workers_per_login allows.';
