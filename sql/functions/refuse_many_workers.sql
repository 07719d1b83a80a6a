-- Refuses a login that has registered as many workers as it may: each of them is looked at by views and by maintenance.
-- Called by: register_worker(). Locks: nothing; of those that register at once, a few more may get through. Returns: nothing.
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
        RAISE EXCEPTION '% has % workers registered, as many as one login may have', session_user, most
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'An operator may change contentq.settings.max_workers_per_login.';
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.refuse_many_workers() IS
    'Internal: raises 53400 when the login has registered as many workers as settings.max_workers_per_login allows.';
