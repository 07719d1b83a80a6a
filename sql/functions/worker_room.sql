-- Says how many tasks a worker may begin now, by what it is, by its gate and by the gate of all.
-- Called by: claim(). Locks: as gate_room() and gates_room(). Returns: from 0 to wanted, and -1 as gate_room().
-- worker_wait() says the same in words.
CREATE OR REPLACE FUNCTION contentq.worker_room(worker contentq.workers, wanted integer)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    room integer := worker_room.wanted;
    failing constant interval := contentq.failing_wait(worker.id);
BEGIN
    IF worker.draining THEN
        RETURN 0;
    ELSIF failing IS NOT NULL THEN
        IF failing > interval '0'
            OR EXISTS (SELECT
                       FROM public.content_generation_tasks AS t
                       WHERE t.worker_id = worker.id
                         AND t.status = 'processing')
        THEN
            RETURN 0;
        END IF;
        room := 1;
    END IF;
    room := contentq.gate_room('*', room);
    IF room > 0 AND worker.gate IS NOT NULL THEN
        room := contentq.gate_room(worker.gate, room);
    ELSIF room > 0 AND worker.gates IS NOT NULL THEN
        room := contentq.gates_room(worker.gates, room);
    END IF;
    RETURN room;
END;
$$;

COMMENT ON FUNCTION contentq.worker_room(contentq.workers, integer) IS
    'Internal: how many tasks a worker may begin now, by itself, by its gate or gates and by the gate of all.';
