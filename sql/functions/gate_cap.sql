-- Computes how many tasks of a gate may run at once.
-- Called by: gate_state(), gates_state(), spend_gate(), judge_cap(), and the view gate_status. Locks: nothing.
-- Returns: tasks; NULL if nothing limits them.
-- The learned cap is the number of tasks that ran when the provider refused more. After it was the limit for two cycles (see
-- gate_cycle()), a trial shows whether that is still so: 3 % more may run, at least one, and as many again after each half
-- second without a refusal (see try_cap()).
CREATE OR REPLACE FUNCTION contentq.gate_cap(gate contentq.gates)
RETURNS integer
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(
        (gate_cap.gate).max_running,
        (gate_cap.gate).cap
            + greatest(0, 1 + floor(((gate_cap.gate).grown - 2 * contentq.gate_cycle((gate_cap.gate).peak)) / 0.5))::integer
              * ceil(0.03 * (gate_cap.gate).cap)::integer
    );
$$;

COMMENT ON FUNCTION contentq.gate_cap(contentq.gates) IS
    'Internal: how many tasks of a gate may run at once, as set or learned; NULL: no limit.';
