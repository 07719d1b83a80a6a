-- Says whether a worker is registered, and by the login that calls: nobody acts as another's worker.
-- Called by: every function that takes the id of a worker, or what these call. The login is session_user, which neither
--            SET ROLE nor a function that runs with the rights of its owner changes.
-- Locks: nothing. Returns: true; false when no such worker is registered (any more), and so holds nothing.
-- Raises: CQ003 when another login has registered it.
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
        RAISE EXCEPTION 'worker % was registered by another login than %', is_own_worker.worker_id, session_user
            USING ERRCODE = 'CQ003',
                  HINT = 'A worker acts only under the id that its own login got from contentq.register_worker().';
    END IF;
    RETURN owner_login IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.is_own_worker(bigint) IS
    'Internal: whether this worker is registered; raises CQ003 when another login has registered it.';
