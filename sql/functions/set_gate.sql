-- Sets what a provider allows, as an operator knows it. What contentq has learned stays and also applies.
-- Called by: operators. Locks: the row of the gate. Returns: nothing.
-- An argument that is not given removes that limit. The gate * limits all workers together, including those without a gate.
CREATE OR REPLACE FUNCTION contentq.set_gate(
    key text,
    requests_per_minute numeric DEFAULT NULL,
    tokens_per_minute numeric DEFAULT NULL,
    max_running integer DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
BEGIN
    IF coalesce(set_gate.key, '') = '' THEN
        RAISE EXCEPTION 'setting a gate requires its key'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'The key is the name that workers register with, such as the host of a provider.';
    END IF;
    INSERT INTO contentq.gates AS g (key, requests_per_minute, tokens_per_minute, max_running)
    VALUES (set_gate.key, set_gate.requests_per_minute, set_gate.tokens_per_minute, set_gate.max_running)
    ON CONFLICT ON CONSTRAINT gates_pkey DO UPDATE
    SET requests_per_minute = excluded.requests_per_minute,
        tokens_per_minute = excluded.tokens_per_minute,
        max_running = excluded.max_running,
        tokens_left = NULL;
    -- Waiting workers may now be allowed to start tasks.
    PERFORM contentq.notify_ready();
END;
$$;

COMMENT ON FUNCTION contentq.set_gate(text, numeric, numeric, integer) IS
    'Sets how many tasks of a gate''s workers may start per minute, how many tokens they may use per minute, and how many '
    'may run at once; NULL: no limit of that kind. What was learned about the provider stays.';
