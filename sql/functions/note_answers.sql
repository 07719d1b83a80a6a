-- Counts attempts that the provider answered, for the gate of their worker, or the gates that they entered.
-- Called by: complete(), store(), fail(), revise(), and record_usage(), for the tokens of attempts that end otherwise.
-- Locks: the worker's row of claimers; if another session has locked it, nothing is counted, so no report waits.
-- Returns: nothing. For workers without a gate, it counts nothing. ids, usages: the attempts and their tokens, for workers
-- with several gates. If the gate is half open, the answer wakes the fleet.
CREATE OR REPLACE FUNCTION contentq.note_answers(
    worker_id bigint,
    answered integer,
    last_began_at timestamptz,
    tokens numeric DEFAULT 0,
    ids bigint[] DEFAULT NULL,
    usages text[] DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    gate_key text;
    has_several boolean;
BEGIN
    IF coalesce(note_answers.answered, 0) < 1 AND coalesce(note_answers.tokens, 0) = 0 THEN
        RETURN;
    END IF;
    SELECT w.gate, w.gates IS NOT NULL INTO gate_key, has_several FROM contentq.workers AS w WHERE w.id = note_answers.worker_id;
    IF has_several THEN
        PERFORM contentq.note_gate_answers(note_answers.worker_id, note_answers.ids, note_answers.usages, note_answers.answered > 0);
    END IF;
    IF gate_key IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM contentq.claimers AS c WHERE c.worker_id = note_answers.worker_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE contentq.claimers AS c
    SET answered = c.answered + note_answers.answered,
        last_answered = greatest(c.last_answered, note_answers.last_began_at),
        tokens = c.tokens + coalesce(note_answers.tokens, 0)
    WHERE c.worker_id = note_answers.worker_id;
    PERFORM contentq.wake_half_open(gate_key, note_answers.last_began_at);
END;
$$;

COMMENT ON FUNCTION contentq.note_answers(bigint, integer, timestamptz, numeric, bigint[], text[]) IS
    'Internal: counts attempts that a provider answered, for the gate of their worker, or the gates that they entered.';
