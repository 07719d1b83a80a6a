-- Checks whether a worker is registered by the calling login, so that nobody acts as another login's worker.
-- Called by: every function with a worker_id, or the functions that these call. The login is session_user, which neither
--            SET ROLE nor SECURITY DEFINER changes.
-- Locks: nothing. Returns: true; false if the worker is not registered and so holds nothing.
-- Raises: CQ003 if another login registered it.
CREATE OR REPLACE FUNCTION contentq.is_own_worker(worker_id bigint)
RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner_login text;
BEGIN
    SELECT w.login INTO owner_login FROM contentq.workers AS w WHERE w.id = is_own_worker.worker_id;
    IF owner_login <> session_user THEN
        RAISE EXCEPTION 'worker % is registered by another login, not by %', is_own_worker.worker_id, session_user
            USING ERRCODE = 'CQ003',
                  HINT = 'Use only worker ids that this login received from contentq.register_worker().';
    END IF;
    RETURN owner_login IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.is_own_worker(bigint) IS
    'Internal: whether this worker is registered; raises CQ003 if another login registered it.';
