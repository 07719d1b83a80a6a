-- Registers a worker and returns the id that it claims with.
-- Called by: a worker, when it starts and after CQ001 (not registered).
-- Locks: no existing row. Returns: the id of the worker, a random number that is never used twice, even after the database
--        was restored to an earlier state.
-- gate: the gate that every claim passes. gates, in place of gate: the gates among which each task enters one
-- (enter_gate()).
-- Raises: 53400 if the login has registered as many workers as settings.max_workers_per_login allows, or if the
-- different lists of gates of its workers would name more than that many gates, or 1000.
-- The texts that describe a worker are shown to other logins and logged when it dies, so they are shortened.
CREATE OR REPLACE FUNCTION contentq.register_worker(
    hostname text,
    pid integer,
    slots integer,
    handler text,
    gate text DEFAULT NULL,
    version text DEFAULT NULL,
    categories text[] DEFAULT NULL,
    gates text[] DEFAULT NULL
)
RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
    SELECT contentq.warn_of_row_security(), contentq.warn_of_row_security(session_user), contentq.refuse_many_workers(register_worker.gates);

    WITH added AS (
        INSERT INTO contentq.workers (hostname, pid, slots, handler, gate, version, categories, gates)
        VALUES (
            contentq.shorten(register_worker.hostname, 300),
            register_worker.pid,
            register_worker.slots,
            contentq.shorten(register_worker.handler, 300),
            register_worker.gate,
            contentq.shorten(register_worker.version, 300),
            register_worker.categories,
            register_worker.gates
        )
        RETURNING id
    ),
    claimer AS (
        INSERT INTO contentq.claimers (worker_id)
        SELECT a.id
        FROM added AS a
    )
    SELECT a.id FROM added AS a;
$$;

COMMENT ON FUNCTION contentq.register_worker(text, integer, integer, text, text, text, text[], text[]) IS
    'Registers a worker with its number of slots, its gate, and the categories that it claims (NULL: all); returns its id. '
    'The worker must call heartbeat() every 2 seconds. gates, in place of gate: each of its tasks enters one of them with '
    'enter_gate(). Raises 53400 if the login has too many workers.';
