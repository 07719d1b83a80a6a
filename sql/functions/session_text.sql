-- Describes a session for a message.
-- Called by: lock_holder(), doctor_sessions(). Locks: nothing.
-- Returns: its process id, and what the caller may see of it.
CREATE OR REPLACE FUNCTION contentq.session_text(pid integer)
RETURNS text
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat(
        'session ', session_text.pid,
        (SELECT ' (' || nullif(concat_ws(
                    ', ',
                    nullif(regexp_replace(s.application_name, '[^[:print:]]', '?', 'g'), ''),
                    'user ' || s.usename,
                    s.state || to_char(s.state_change AT TIME ZONE 'UTC', '" since "YYYY-MM-DD HH24:MI:SS" UTC"')
                ), '') || ')'
         FROM pg_stat_activity AS s
         WHERE s.pid = session_text.pid)
    );
$$;

COMMENT ON FUNCTION contentq.session_text(integer) IS
    'Internal: a session for messages: its process id, program, user and state.';
