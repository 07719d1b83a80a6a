-- Records that a provider refused a call or did not answer it.
-- Called by: snooze() and fail(), for attempts that the worker holds. Locks: no existing row: no report waits for a gate.
-- Returns: nothing. The next claim of the gate's workers evaluates it (see fold_gate_events()).
-- until: the time that the provider named, if any; at most an hour from now, after which one task checks it.
CREATE OR REPLACE FUNCTION contentq.note_gate_event(
    key text,
    began_at timestamptz,
    kind text,
    until timestamptz DEFAULT NULL,
    message text DEFAULT NULL,
    now_ timestamptz DEFAULT clock_timestamp()
)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO contentq.gate_events (key, at, began_at, kind, until, message, calls, answered)
    SELECT note_gate_event.key, note_gate_event.now_, note_gate_event.began_at, note_gate_event.kind,
           -- least() ignores NULL.
           CASE WHEN note_gate_event.until IS NOT NULL
                THEN least(note_gate_event.until, note_gate_event.now_ + interval '1 hour') END,
           contentq.shorten(note_gate_event.message, 500), t.calls, t.answered
    FROM contentq.gate_totals(note_gate_event.key) AS t;
$$;

COMMENT ON FUNCTION contentq.note_gate_event(text, timestamptz, text, timestamptz, text, timestamptz) IS
    'Internal: records that a provider refused a call or did not answer it.';
