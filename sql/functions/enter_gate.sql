-- Lets a running task pass the first of several gates that has room, and counts it there.
-- Called by: workers registered with several gates, before a task calls a provider.
-- Locks: the row of the task; the row of a gate with a limit, for which it waits at most 50 milliseconds, and only while it
--        holds no other gate.
-- Returns: gate: the gate that the task entered; NULL if no gate has room or the attempt must stop. next_in: the time until
--          a gate may have room (NULL: not known). why: for each gate passed over, in order, the reason; if the attempt
--          must stop, that reason.
-- A gate may be closed, at its pace, at its cap or half open, by the same rules as for claims of workers with one gate.
-- Each gate is counted once: if the attempt has already entered one of these gates and not left it, that gate is returned.
-- Raises: CQ003 if a key is not a gate that the worker registered with; 22004 without a key.
CREATE OR REPLACE FUNCTION contentq.enter_gate(
    worker_id bigint,
    id bigint,
    attempt integer,
    keys text[],
    OUT gate text,
    OUT next_in interval,
    OUT why text[]
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    own_gates text[];
    task public.content_generation_tasks;
    each text;
    room integer;
    has_waited boolean := false;
    here_in interval;
    here_why text;
BEGIN
    PERFORM contentq.is_own_worker(enter_gate.worker_id);
    IF num_nonnulls(VARIADIC enter_gate.keys) < greatest(cardinality(enter_gate.keys), 1) THEN
        RAISE EXCEPTION 'no key given, or a key is NULL: name the gates that the task may enter'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT w.gates INTO own_gates FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id;
    IF NOT enter_gate.keys <@ coalesce(own_gates, '{}') AND EXISTS (
        SELECT FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id
    ) THEN
        RAISE EXCEPTION 'worker % is registered with gates %, not with %', enter_gate.worker_id,
            coalesce(own_gates::text, '{}'), enter_gate.keys
            USING ERRCODE = 'CQ003',
                  HINT = 'Pass every gate that its tasks may enter to contentq.register_worker(..., gates => ARRAY[...]).';
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = enter_gate.id
      AND t.attempt = enter_gate.attempt
      AND contentq.is_held(t.status, t.worker_id, enter_gate.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        why := ARRAY['the worker no longer holds this attempt'];
        RETURN;
    ELSIF task.cancel_requested_at IS NOT NULL OR task.timeout_at <= clock_timestamp() THEN
        next_in := interval '0';
        why := ARRAY[CASE WHEN task.cancel_requested_at IS NOT NULL THEN 'it was cancelled' ELSE 'its deadline has passed' END];
        RETURN;
    ELSIF task.gate = ANY (enter_gate.keys) THEN
        gate := task.gate;
        RETURN;
    END IF;

    FOREACH each IN ARRAY enter_gate.keys LOOP
        -- Checked without a lock first: a gate that is closed, at its pace or at its cap nearly always stays so under the
        -- lock.
        SELECT w.next_in, w.why INTO here_in, here_why FROM contentq.gate_wait(each) AS w;
        IF NOT FOUND THEN
            room := contentq.gate_room(each, 1);
            IF room < 0 AND NOT has_waited THEN
                room := contentq.wait_for_gate(each);
            END IF;
            has_waited := true;
            IF room > 0 THEN
                PERFORM contentq.count_at_gate(enter_gate.worker_id, each, 1, 0, NULL, 0);
                PERFORM contentq.spend_gate(each, 1);
                UPDATE public.content_generation_tasks AS t
                SET gate = each,
                    gate_entered_at = clock_timestamp(),
                    updated_at = CURRENT_TIMESTAMP
                WHERE t.id = task.id;
                gate := each;
                next_in := NULL;
                RETURN;
            ELSIF room < 0 THEN
                here_in := interval '5 milliseconds';
                here_why := format('gate %s: another session has locked its row', each);
            ELSE
                SELECT w.next_in, w.why INTO here_in, here_why FROM contentq.gate_wait(each) AS w;
                IF NOT FOUND THEN
                    here_in := interval '0';
                    here_why := format('gate %s: its turn has just come', each);
                END IF;
            END IF;
        END IF;
        next_in := least(next_in, here_in);
        why := why || here_why;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.enter_gate(bigint, bigint, integer, text[]) IS
    'Lets a running task of a worker with several gates pass the first of these gates that has room, and counts it there. '
    'Returns the gate, or NULL, the time until one may have room, and the reasons of the gates before it. A gate that the '
    'attempt has entered and not left lets it pass again without counting it again.';
