-- Raises the error that tells a worker that it is not registered, or that it belongs to another login.
-- Called by: heartbeat() and claim(). Locks: nothing. Returns: never.
CREATE OR REPLACE FUNCTION contentq.raise_not_registered(worker_id bigint)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM contentq.is_own_worker(raise_not_registered.worker_id);
    RAISE EXCEPTION 'worker % is not registered', raise_not_registered.worker_id
        USING ERRCODE = 'CQ001',
              DETAIL = 'It never registered, it has stopped, or it sent no heartbeat for so long that its tasks were rescued.',
              HINT = 'Stop its handlers (their outcomes no longer count) and call contentq.register_worker() to get a new id.';
END;
$$;

COMMENT ON FUNCTION contentq.raise_not_registered(bigint) IS 
    'Internal: raises CQ001 for this worker, or CQ003 if another login registered it.';
