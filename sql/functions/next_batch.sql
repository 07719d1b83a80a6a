-- Leases a batch that is due to a worker of the login that opened it: one to check, or one whose worker has died.
-- Called by: handlers of batches, regularly. Locks: the row of the batch; it skips rows that other sessions have locked.
-- Returns: the batch, leased for a minute, and how many tasks wait for it; no row if no batch is due.
CREATE OR REPLACE FUNCTION contentq.next_batch(worker_id bigint, provider text)
RETURNS TABLE (
    id bigint,
    key uuid,
    model text,
    requests integer,
    status text,
    provider_id text,
    input_file text,
    opened_at timestamptz,
    tending integer,
    failures integer,
    wanted bigint
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    own_login constant text := session_user;
    due bigint;
BEGIN
    IF NOT contentq.is_own_worker(next_batch.worker_id) THEN
        RETURN;
    END IF;
    SELECT b.id
    INTO due
    FROM contentq.provider_batches AS b
    WHERE b.provider = next_batch.provider
      AND b.login = own_login
      AND b.ended_at IS NULL
      AND b.due_at <= now_
      AND (b.tended_by IS NULL
           OR b.tended_until < now_
           OR NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = b.tended_by))
    ORDER BY b.due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE contentq.provider_batches AS b
    SET tended_by = next_batch.worker_id,
        tended_until = now_ + interval '1 minute',
        tending = b.tending + 1
    WHERE b.id = due;
    RETURN QUERY
    SELECT b.id, b.key, b.model, b.requests, b.status, b.provider_id, b.input_file, b.opened_at, b.tending, b.failures,
           (SELECT count(*)
            FROM contentq.batch_requests AS r
            JOIN public.content_generation_tasks AS t ON t.id = r.id
            WHERE r.batch_id = due
              AND r.answered_at IS NULL
              AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt))
    FROM contentq.provider_batches AS b
    WHERE b.id = due;
END;
$$;

COMMENT ON FUNCTION contentq.next_batch(bigint, text) IS
    'Leases a due batch of this provider and this login to the worker for a minute. Returns the batch and how many tasks '
    'wait for it; no row if no batch is due.';
