-- Counts how many more tasks of an account may start now under its cap.
-- Called by: admit(), under the lock of the account's place; explain().
-- starting: tasks of the account that are about to start and are not processing yet.
-- Locks: nothing. Returns: 0 or more; NULL if the account has no cap. left_out_accounts() checks pauses.
CREATE OR REPLACE FUNCTION contentq.account_room(account public.accounts, starting integer DEFAULT 0)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT CASE
            WHEN account.max_running IS NOT NULL
            THEN greatest(account.max_running - account_room.starting - (
                SELECT count(*)
                FROM (
                    SELECT
                    FROM public.content_generation_tasks AS t
                    WHERE t.status COLLATE "C" = 'processing'
                      AND t.account_id = account.id
                    -- Only one index has this order.
                    ORDER BY t.account_id, t.started_at
                    OFFSET 0
                ) AS r
            ), 0)::integer
        END
    );
END;
$$;

COMMENT ON FUNCTION contentq.account_room(public.accounts, integer) IS
    'Internal: how many more tasks of an account may start under its max_running; NULL: any number.';
