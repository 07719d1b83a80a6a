-- Counts the answers and tokens of attempts of a worker with several gates, at the gates that they have entered.
-- Called by: note_answers(), with tasks whose report counted. Locks: as count_at_gate(). Returns: nothing.
-- is_answered: whether they were answered; if not, only their tokens count. usages: as for add_usage().
CREATE OR REPLACE FUNCTION contentq.note_gate_answers(
    worker_id bigint,
    ids bigint[],
    usages text[],
    is_answered boolean
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT t.gate,
               count(*) AS number,
               max(t.gate_entered_at) AS last_entered_at,
               coalesce(sum(contentq.usage_amount(r.usage::jsonb->'prompt_tokens')
                            + contentq.usage_amount(r.usage::jsonb->'completion_tokens')), 0) AS tokens
        FROM unnest(note_gate_answers.ids, note_gate_answers.usages) AS r (id, usage)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE t.gate IS NOT NULL
        GROUP BY t.gate
        ORDER BY t.gate
    LOOP
        PERFORM contentq.count_at_gate(
            note_gate_answers.worker_id, each.gate, 0, CASE WHEN note_gate_answers.is_answered THEN each.number ELSE 0 END,
            CASE WHEN note_gate_answers.is_answered THEN each.last_entered_at END, each.tokens
        );
        IF note_gate_answers.is_answered THEN
            PERFORM contentq.wake_half_open(each.gate, each.last_entered_at);
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.note_gate_answers(bigint, bigint[], text[], boolean) IS
    'Internal: counts answers and tokens of attempts of a worker with several gates, at the gates that they have entered.';
