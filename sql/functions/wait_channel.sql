-- Returns the channel to LISTEN on for the end of a task, or of all tasks of a batch, and registers the wait.
-- Called by: sessions that wait, with their own rights: only for what they may see. Call it before LISTEN to get the name,
--            again right after LISTEN and after each notification, and then read the status. Each call in its own
--            transaction.
-- Locks: nothing that a worker waits for.
-- Returns: the channel, at most 63 bytes. Notifications have no payload.
-- Raises: P0002 if the task or batch does not exist; 22023 unless exactly one of the two is given.
--
-- If it has already ended, the commit of this call notifies. A session that registered before may be too late for a
-- transaction that is ending the task at this moment, or too early for the end of its batch. In that case this call waits
-- for that transaction, at most a second, and then notifies anyway, so that the session reads the status again.
CREATE OR REPLACE FUNCTION contentq.wait_channel(task_id text DEFAULT NULL, batch text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    began constant timestamptz := clock_timestamp();
    kind constant text := CASE WHEN wait_channel.task_id IS NOT NULL THEN 'task' ELSE 'batch' END;
    name constant text := coalesce(wait_channel.task_id, wait_channel.batch);
    is_ending boolean;
    has_ended boolean;
    is_new boolean;
    is_hanging boolean := false;
BEGIN
    IF num_nonnulls(wait_channel.task_id, wait_channel.batch) <> 1 THEN
        RAISE EXCEPTION 'pass exactly one of task_id and batch to wait for'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOOP
        -- Before the status: what ends in between has ended there. For a batch, running tasks are enough: workers end no
        -- others.
        is_ending := EXISTS (
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.task_id = wait_channel.task_id
              AND t.xmax <> 0
              AND contentq.is_changing(t.xmax)
            UNION ALL
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.batch = wait_channel.batch
              AND t.status = 'processing'
              AND t.xmax <> 0
              AND contentq.is_changing(t.xmax)
        );
        IF kind = 'task' THEN
            has_ended := (
                SELECT t.status NOT IN ('pending', 'processing')
                FROM public.content_generation_tasks AS t
                WHERE t.task_id = wait_channel.task_id
            );
        ELSE
            has_ended := (
                SELECT NOT EXISTS (
                    SELECT
                    FROM public.content_generation_tasks AS u
                    WHERE u.batch = wait_channel.batch
                      AND u.status IN ('pending', 'processing')
                )
                FROM public.content_generation_tasks AS t
                WHERE t.batch = wait_channel.batch
                LIMIT 1
            );
        END IF;
        IF has_ended IS NULL THEN
            RAISE EXCEPTION 'there is no % %', kind, name
                USING ERRCODE = 'no_data_found';
        END IF;
        is_new := coalesce(is_new, NOT has_ended AND contentq.await_end(kind, name));
        EXIT WHEN has_ended OR is_new OR NOT is_ending;
        is_hanging := clock_timestamp() > began + interval '1 second';
        EXIT WHEN is_hanging;
        PERFORM pg_sleep(0.005);
    END LOOP;
    RETURN contentq.notify_waiters(kind, name, sends => has_ended OR is_hanging);
END;
$$;

COMMENT ON FUNCTION contentq.wait_channel(text, text) IS
    'The channel to LISTEN on for the end of a task, or of all tasks of a batch. Call it, LISTEN, call it again and read '
    'the status; do the same after a notification. If it has already ended, it notifies at once.';
