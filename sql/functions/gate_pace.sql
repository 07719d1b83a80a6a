-- The pace of a gate: how many tasks may start a second.
-- Called by: gate_state(), spend_gate() and judge_refusals(). Locks: nothing.
-- Returns: tasks a second; NULL when nothing limits them.
--
-- What was learned: 0.95 of the rate that the provider took when it last refused (peak) at first, and then along the curve
-- of CUBIC (RFC 9438, section 4.2), which is flat at the peak: most of the time is spent near it, and a limit that was
-- raised is found in three times the time of the return. grown: the seconds for which the pace was what limited.
-- While ramping, since little is known of the limit, it doubles each second instead, or in the time of 5 tasks.
CREATE OR REPLACE FUNCTION contentq.gate_pace(gate contentq.gates)
RETURNS float8
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(
        (gate_pace.gate).requests_per_minute::float8 / 60,
        CASE
            WHEN (gate_pace.gate).is_ramping
            THEN (gate_pace.gate).peak
                 * power(2, least((gate_pace.gate).grown / greatest(1, 5 / (gate_pace.gate).peak), 30))
            ELSE (gate_pace.gate).peak * (
                1 + CASE WHEN (gate_pace.gate).grown < contentq.gate_cycle((gate_pace.gate).peak) THEN 0.05 ELSE 0.1 END
                    * power((gate_pace.gate).grown / contentq.gate_cycle((gate_pace.gate).peak) - 1, 3)
            )
        END
    );
$$;

COMMENT ON FUNCTION contentq.gate_pace(contentq.gates) IS
    'Internal: how many tasks may start a second at a gate, as it was set or learned; NULL without a limit.';
