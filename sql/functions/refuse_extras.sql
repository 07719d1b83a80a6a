-- Refuses extras that are not JSON objects or contain members that contentq sets in the result. Of duplicate members, ->>
-- returns the last, so a result could point to content of another account.
-- Called by: store(), revise(). Locks: nothing. Returns: nothing.
-- Raises: 22P02, 22P05, 54001 or 22023.
CREATE OR REPLACE FUNCTION contentq.refuse_extras(extras text[])
RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own constant text[] := ARRAY['success', 'content_id', 'word_count', 'failed_checks'];
BEGIN
    IF EXISTS (SELECT FROM unnest(refuse_extras.extras) AS e (extra) WHERE json_typeof(e.extra::json) <> 'object') THEN
        RAISE EXCEPTION 'extras must be JSON objects'
            USING ERRCODE = 'invalid_text_representation';
    END IF;
    IF EXISTS (SELECT
               FROM unnest(refuse_extras.extras) AS e (extra)
               CROSS JOIN LATERAL json_object_keys(e.extra::json) AS k (name)
               WHERE k.name = ANY (own))
    THEN
        RAISE EXCEPTION 'extras may not contain members that contentq sets in the result: %',
            array_to_string(own, ', ')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.refuse_extras(text[]) IS
    'Internal: raises an error if extras are not JSON objects or contain members that contentq sets in the result.';
