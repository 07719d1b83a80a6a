-- Computes how many tasks a worker may start now, by its own state, its gate and the gate *.
-- Called by: claim(). Locks: as gate_room() and gates_room(). Returns: 0 to wanted, or -1 as gate_room() does.
-- worker_wait() returns the reasons as text.
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
    'Internal: how many tasks a worker may start now, by its own state, its gate or gates, and the gate *.';
