-- Closes a gate: no worker registered with it claims anything until opens_at. Running tasks continue.
-- Called by: operators, and workers that want it closed at once; otherwise their reports close it. Logins that may not
--            update gates, such as those of workers, may close only gates of their own workers, for at most an hour.
-- Locks: the row of the gate. Returns: the time until which the gate is closed now.
-- A gate that is already closed for longer stays closed: a short refusal does not end an operator's pause.
-- The gate * applies to every worker, including those without a gate. opens_at may be infinity.
-- half_open: when the gate opens again, one task of the fleet tries first; the others wait for its answer.
-- Claims read the gates themselves; the notification only tells idle workers earlier.
-- Raises: 22004 if the key or the time is missing; CQ003 if this login may not close the gate.
CREATE OR REPLACE FUNCTION contentq.close_gate(
    key text,
    opens_at timestamptz,
    reason text DEFAULT NULL,
    half_open boolean DEFAULT false
)
RETURNS timestamptz
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    may_close_any constant boolean := has_column_privilege(session_user, 'contentq.gates', 'opens_at', 'UPDATE');
    closed_until timestamptz;
BEGIN
    IF coalesce(close_gate.key, '') = '' OR close_gate.opens_at IS NULL THEN
        RAISE EXCEPTION 'closing a gate requires its key and the time at which it opens again'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'To close it without an end, pass ''infinity''; contentq.open_gate() opens it.';
    END IF;
    IF NOT may_close_any AND (
        close_gate.key = '*'
        OR NOT EXISTS (SELECT
                       FROM contentq.workers AS w
                       WHERE (w.gate = close_gate.key OR close_gate.key = ANY (w.gates))
                         AND w.login = session_user)
    ) THEN
        RAISE EXCEPTION 'login % may close only gates of its own workers, and gate % is not one', session_user, close_gate.key
            USING ERRCODE = 'CQ003';
    END IF;
    INSERT INTO contentq.gates AS g (key, opens_at, reason, half_open, closed_at, closed_by)
    VALUES (
        close_gate.key,
        CASE WHEN may_close_any THEN close_gate.opens_at
             ELSE least(close_gate.opens_at, clock_timestamp() + interval '1 hour') END,
        contentq.shorten(close_gate.reason, 500),
        coalesce(close_gate.half_open, false),
        clock_timestamp(),
        concat_ws(', ', session_user, nullif(current_setting('application_name'), ''), inet_client_addr())
    )
    ON CONFLICT ON CONSTRAINT gates_pkey DO UPDATE
    SET opens_at = excluded.opens_at,
        reason = excluded.reason,
        half_open = excluded.half_open,
        closed_at = excluded.closed_at,
        closed_by = excluded.closed_by,
        outage_since = NULL
    WHERE g.opens_at < excluded.opens_at;
    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
    SELECT g.opens_at INTO closed_until FROM contentq.gates AS g WHERE g.key = close_gate.key;
    RETURN closed_until;
END;
$$;

COMMENT ON FUNCTION contentq.close_gate(text, timestamptz, text, boolean) IS
    'Closes a gate until opens_at (infinity: until someone opens it): no worker registered with it claims; the gate * '
    'applies to every worker. A gate that is already closed for longer stays closed. half_open: when it opens, one task of '
    'the fleet tries first. Logins of workers may close only gates of their own workers, for at most an hour. Returns the '
    'time until which it is closed.';
