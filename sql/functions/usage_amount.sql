-- Reads a count or a cost from JSON that anyone may have written.
-- Called by: add_usage(), note_gate_answers(). Locks: nothing.
-- Returns: the number, rounded to 12 decimal places, because sums keep all digits; 0 for values that are missing, not
--          numbers, negative or more than a trillion.
CREATE OR REPLACE FUNCTION contentq.usage_amount(value jsonb)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN jsonb_typeof(usage_amount.value) = 'number' AND usage_amount.value::numeric BETWEEN 0 AND 1e12
        THEN trim_scale(round(usage_amount.value::numeric, 12))
        ELSE 0
    END;
$$;

COMMENT ON FUNCTION contentq.usage_amount(jsonb) IS
    'Internal: a count or a cost from JSON; 0 if the value is invalid.';
