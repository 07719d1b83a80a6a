-- Lets a running task pass the first of several gates that has room, and counts it there.
-- Called by: workers that were registered with several gates, before a task calls a provider.
-- Locks: the task's row; the row of a gate that limits something, for which it waits 50 milliseconds at most, and not while it
--        has that of another gate.
-- Returns: gate: the gate that was entered; NULL when none has room, or the attempt is not to go on. next_in: the time until
--          one may have room (NULL: not known). why: of each gate that was passed over, in their order, why; when the
--          attempt is not to go on, why.
-- Closed, at its pace, at its cap, or in an outage with one task to try: as claim() judges it for workers with one gate. Each
-- gate is counted once: when one of these keys was entered already and not left, that is the answer.
-- Raises: CQ003 when a key is none of the gates that the worker was registered with; 22004 without a key.
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
        RAISE EXCEPTION 'a task enters one of several gates, and no key was given, or NULL is among them'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT w.gates INTO own_gates FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id;
    IF NOT enter_gate.keys <@ coalesce(own_gates, '{}') AND EXISTS (
        SELECT FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id
    ) THEN
        RAISE EXCEPTION 'worker % was registered with the gates %, and not with %', enter_gate.worker_id,
            coalesce(own_gates::text, '{}'), enter_gate.keys
            USING ERRCODE = 'CQ003',
                  HINT = 'contentq.register_worker(..., gates => ARRAY[...]) names all that its tasks may enter.';
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = enter_gate.id
      AND t.attempt = enter_gate.attempt
      AND contentq.is_held(t.status, t.worker_id, enter_gate.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        why := ARRAY['the worker does not hold this attempt any more'];
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
        -- Not locked for nothing: what is closed, at its pace or at its cap is so nearly always when it is looked at closely, too.
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
                here_why := format('gate %s: another session has its row', each);
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
    'Lets a running task of a worker with several gates pass the first of these that has room, and counts it there; returns the '
    'gate, or NULL, when one may have room, and why not those before it. A gate that was entered and not left lets it pass '
    'again, and is counted once.';
