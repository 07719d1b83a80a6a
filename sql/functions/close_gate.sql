-- Closes a gate: until opens_at no worker that was registered with it claims anything. What runs goes on.
-- Called by: operators, and workers that want it closed at once: what they report closes it as well. Logins that may not
--            update gates themselves, such as those of workers, close gates of their own workers only, and for an hour at
--            most.
-- Locks: the gate's row. Returns: the time until which the gate is closed now.
-- A gate that is closed for longer already stays so: a short refusal ends no pause of an operator's.
-- The gate * is every worker's, also of those that have none of their own. opens_at may be infinity.
-- half_open: when it opens again, one task of the fleet is tried first, and the others only when that was answered.
-- Claims look at the gates themselves; the notification only makes idle workers see it earlier.
-- Raises: 22004 when the key or the time is missing; CQ003 when the gate is not for this login to close.
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
    may_close_any constant boolean := has_table_privilege(session_user, 'contentq.gates', 'UPDATE');
    closed_until timestamptz;
BEGIN
    IF coalesce(close_gate.key, '') = '' OR close_gate.opens_at IS NULL THEN
        RAISE EXCEPTION 'a gate is closed by its key and the time at which it opens again'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'For a pause without an end, close it until ''infinity''; contentq.open_gate() opens it.';
    END IF;
    IF NOT may_close_any AND (
        close_gate.key = '*'
        OR NOT EXISTS (SELECT
                       FROM contentq.workers AS w
                       WHERE (w.gate = close_gate.key OR close_gate.key = ANY (w.gates))
                         AND w.login = session_user)
    ) THEN
        RAISE EXCEPTION '% may close the gates that its own workers have, and gate % is none', session_user, close_gate.key
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
    'Closes a gate until opens_at (infinity: until it is opened): no worker registered with it claims; the gate * '
    'is every worker''s. One that is closed for longer stays so. half_open: one task of the fleet is tried first then. '
    'Workers'' logins close gates of their own workers only, for an hour at most. Returns until when it is closed.';
