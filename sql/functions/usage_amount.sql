-- Reads a count or a cost from JSON that anyone may have written.
-- Called by: record_usage(). Locks: nothing.
-- Returns: the number, to 12 decimal places, since all digits of a sum are kept and added up again and again; 0 when it is
--          missing, no number, negative, or more than a trillion.
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
    'Internal: a count or a cost from JSON; 0 for what is none.';
