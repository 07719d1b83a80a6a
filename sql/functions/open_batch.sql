-- Creates a batch from the waiting requests to a provider when one is due: for one model, the oldest requests first. It
-- sends nothing.
-- Called by: handlers of batches, regularly. Locks: the oldest request, for which concurrent callers do not wait, and then
--            those of the batch.
-- A batch has only requests of the calling login, which is also the only one that can tend it.
-- A batch is due when the oldest request has waited for gather_for, or when there are enough requests to fill one. Requests
-- for which no task waits any more are deleted.
-- Returns: the batch, which the worker leases for a minute (see hold_batch()); no row if none is due.
CREATE OR REPLACE FUNCTION contentq.open_batch(
    worker_id bigint,
    provider text,
    max_requests integer,
    max_bytes bigint,
    gather_for interval
)
RETURNS SETOF contentq.provider_batches
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    own_login constant text := session_user;
    oldest contentq.batch_requests;
    chosen_ids bigint[];
    chosen_attempts integer[];
    is_full boolean;
    opened contentq.provider_batches;
BEGIN
    IF NOT contentq.is_own_worker(open_batch.worker_id) THEN
        RETURN;
    END IF;
    SELECT r.*
    INTO oldest
    FROM contentq.batch_requests AS r
    WHERE r.provider = open_batch.provider
      AND r.login = own_login
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
      AND r.due_at <= now_
    ORDER BY r.due_at, r.id, r.attempt
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM
    FROM contentq.batch_requests AS r
    WHERE r.id = oldest.id
      AND r.attempt = oldest.attempt
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT w.id, w.attempt
        FROM contentq.batch_requests AS w
        WHERE w.provider = open_batch.provider
          AND w.login = own_login
          AND w.batch_id IS NULL
          AND w.answered_at IS NULL
          AND w.due_at <= now_
          AND NOT EXISTS (SELECT
                          FROM public.content_generation_tasks AS t
                          WHERE t.id = w.id
                            AND contentq.is_batch_wanted(t.status, t.handler_state, w.attempt))
        ORDER BY w.due_at, w.id, w.attempt
        LIMIT 50000
        FOR UPDATE SKIP LOCKED
    );

    SELECT array_agg(f.id), array_agg(f.attempt),
           count(*) >= open_batch.max_requests OR bool_or(f.total > open_batch.max_bytes)
    INTO chosen_ids, chosen_attempts, is_full
    FROM (
        SELECT r.id, r.attempt,
               sum(octet_length(r.body)::bigint + 200) OVER (ORDER BY r.due_at, r.id, r.attempt) AS total
        FROM contentq.batch_requests AS r
        WHERE r.provider = open_batch.provider
          AND r.login = own_login
          AND r.model = oldest.model
          AND r.batch_id IS NULL
          AND r.answered_at IS NULL
          AND r.due_at <= now_
        ORDER BY r.due_at, r.id, r.attempt
        LIMIT open_batch.max_requests
    ) AS f;
    IF chosen_ids IS NULL OR NOT is_full AND oldest.due_at > now_ - open_batch.gather_for THEN
        RETURN;
    END IF;

    INSERT INTO contentq.provider_batches (login, provider, model, requests, tended_by, tended_until)
    VALUES (own_login, open_batch.provider, oldest.model, cardinality(chosen_ids), open_batch.worker_id,
            now_ + interval '1 minute')
    RETURNING * INTO opened;
    UPDATE contentq.batch_requests AS r
    SET batch_id = opened.id
    FROM (
        SELECT w.id, w.attempt, sum(octet_length(b.body)::bigint + 200) OVER (ORDER BY w.place) AS total, w.place
        FROM unnest(chosen_ids, chosen_attempts) WITH ORDINALITY AS w (id, attempt, place)
        JOIN contentq.batch_requests AS b ON b.id = w.id AND b.attempt = w.attempt
    ) AS c
    WHERE r.id = c.id
      AND r.attempt = c.attempt
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
      AND (c.total <= open_batch.max_bytes OR c.place = 1);
    GET DIAGNOSTICS opened.requests = ROW_COUNT;
    -- Another worker may have put all of them into a batch since they were chosen.
    IF opened.requests = 0 THEN
        DELETE FROM contentq.provider_batches AS b WHERE b.id = opened.id;
        RETURN;
    END IF;
    UPDATE contentq.provider_batches AS b
    SET requests = opened.requests
    WHERE b.id = opened.id;
    RETURN NEXT opened;
END;
$$;

COMMENT ON FUNCTION contentq.open_batch(bigint, text, integer, bigint, interval) IS
    'Creates a batch from requests that this login made with ask_batch() when the oldest has waited for gather_for or the '
    'batch would be full; the worker leases it for a minute. No row if none is due.';
