-- Computes the pace of a gate: how many tasks may start per second.
-- Called by: gate_state(), spend_gate(), judge_refusals(), and the view gate_status. Locks: nothing.
-- Returns: tasks per second; NULL if nothing limits them, and if what was learned is a cap (see gate_cap()).
--
-- The learned pace starts at 0.92 of the rate that the provider accepted when it last refused (peak) and grows by 0.09 of
-- the peak in each cycle (see gate_cycle()). So refusals come soon after it passes the limit, and rarely. After three cycles
-- it doubles every four seconds: the limit was raised. If the last cut took more than a third, little is known about the
-- limit, and the pace doubles after one cycle and a half. grown counts the seconds in which the pace was the limit. While
-- ramping, because even less is known, it doubles each second, or in the time of 5 tasks.
CREATE OR REPLACE FUNCTION contentq.gate_pace(gate contentq.gates)
RETURNS float8
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(
        (gate_pace.gate).requests_per_minute::float8 / 60,
        CASE
            WHEN (gate_pace.gate).cap IS NOT NULL
            THEN NULL
            WHEN (gate_pace.gate).is_ramping
            THEN (gate_pace.gate).peak
                 * power(2, least((gate_pace.gate).grown / greatest(1, 5 / (gate_pace.gate).peak), 30))
            ELSE (gate_pace.gate).peak
                 * (0.92 + 0.09 * least(c.cycles, c.known))
                 * power(2, least(greatest(0, c.cycles - c.known) * 1.25, 30))
        END
    )
    FROM (
        SELECT (gate_pace.gate).grown / contentq.gate_cycle((gate_pace.gate).peak) AS cycles,
               CASE WHEN (gate_pace.gate).cut_from > 1.5 * (gate_pace.gate).peak THEN 1.5 ELSE 3 END AS known
    ) AS c;
$$;

COMMENT ON FUNCTION contentq.gate_pace(contentq.gates) IS
    'Internal: how many tasks may start per second at a gate, as set or learned; NULL: no limit.';
