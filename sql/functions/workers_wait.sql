-- Lists why each worker may not start a task now, as waits_for() does for one worker. It evaluates each gate once, however
-- many workers use it.
-- Called by: the view worker_status. Locks: nothing.
-- Returns: a row for each worker that may not start a task.
-- Raises: 42501 for logins that may not read contentq.gates.
CREATE OR REPLACE FUNCTION contentq.workers_wait()
RETURNS TABLE (worker_id bigint, why text)
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    unregistered constant integer := contentq.unregistered_running();
    of_all constant text := (SELECT string_agg(g.why, '; ')
                             FROM contentq.gate_wait('*', unregistered => unregistered) AS g);
BEGIN
    IF NOT has_table_privilege(session_user, 'contentq.gates', 'SELECT') THEN
        RAISE EXCEPTION 'login % may not see why workers wait', session_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It requires the right to read contentq.gates.';
    END IF;
    RETURN QUERY
    WITH at_gate AS MATERIALIZED (
        SELECT d.gate, w.why
        FROM (SELECT DISTINCT o.gate FROM contentq.workers AS o WHERE o.gate IS NOT NULL) AS d
        CROSS JOIN LATERAL contentq.gate_wait(d.gate, unregistered => unregistered) AS w
    ),
    at_gates AS MATERIALIZED (
        SELECT d.gates, s.why
        FROM (SELECT DISTINCT o.gates FROM contentq.workers AS o WHERE o.gates IS NOT NULL) AS d
        CROSS JOIN LATERAL contentq.gates_state(d.gates, unregistered => unregistered) AS s
        WHERE s.room < 1
    )
    SELECT *
    FROM (
        SELECT w.id,
               nullif(concat_ws('; ', of_all, g.why, s.why, (SELECT string_agg(o.why, '; ') FROM contentq.own_wait(w) AS o)), '')
                   AS why
        FROM contentq.workers AS w
        LEFT JOIN at_gate AS g ON g.gate = w.gate
        LEFT JOIN at_gates AS s ON s.gates = w.gates
    ) AS r
    WHERE r.why IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION contentq.workers_wait() IS
    'Internal: why each worker may not start a task now; no row for those that may.';
