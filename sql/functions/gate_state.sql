-- Decides how many tasks may start now at a gate, and what limits them. All callers use this function.
-- Called by: gate_room(), spend_gate() and gate_wait(), and so by claims, explain() and the views.
-- Locks: nothing; exact only under the lock of the row of the gate.
-- unregistered: what unregistered_running() has counted, for callers that evaluate many gates.
-- Returns: room; if there is none, next_in (the time until there may be; NULL: not known) and why, as text. For
--          spend_gate(): the level of the bucket, the tokens left, and the tokens used or expected so far.
--
-- The bucket holds the tasks of 50 milliseconds, at least one: a provider whose bucket holds one call refuses two at once.
-- Tokens: the expected tokens of a task are the average of the gate's tasks, or one second's allowance while nothing is
-- known;
-- the real number replaces them when it is known. The tokens of a second may be used at once, or those of one task.
CREATE OR REPLACE FUNCTION contentq.gate_state(
    gate contentq.gates,
    now_ timestamptz,
    unregistered integer DEFAULT NULL,
    OUT room integer,
    OUT next_in interval,
    OUT why text,
    OUT level float8,
    OUT tokens_left float8,
    OUT tokens_used numeric
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    burst constant float8 := 0.05;
    -- Seconds of tasks to wait for, so that a high pace does not cause as many claims.
    together constant float8 := 0.025;
    -- No notification arrives when a task ends or a probe is answered (but see note_answers()).
    look_again constant interval := interval '500 milliseconds';
    pace constant float8 := contentq.gate_pace(gate);
    cap constant integer := contentq.gate_cap(gate);
    since timestamptz;
    totals record;
    expected float8;
    allowed float8;
    running integer;
    refused integer;
BEGIN
    room := 2147483647;
    IF gate.opens_at > now_ THEN
        room := 0;
        next_in := CASE WHEN gate.opens_at < 'infinity' THEN gate.opens_at - now_ END;
        why := 'closed' || contentq.gate_closure_text(gate);
        RETURN;
    ELSIF gate.half_open THEN
        running := contentq.gate_running(gate.key, gate.opens_at) + contentq.unregistered_running(gate.opens_at);
        room := CASE WHEN running = 0 THEN 1 ELSE 0 END;
        next_in := look_again;
        why := 'one task checks whether the provider is back';
        RETURN;
    END IF;
    -- Nothing is added while the gate is closed.
    since := greatest(gate.spent_at, gate.opens_at);

    IF pace IS NOT NULL THEN
        level := least(
            greatest(1, pace * burst),
            CASE WHEN isfinite(since) THEN gate.level + pace * extract(epoch FROM now_ - since) ELSE 1 END
        );
        -- The tolerance counts nearly a whole task as one, so that a caller who waited exactly long enough gets it.
        room := floor(level + 1e-6);
        IF room < 1 THEN
            next_in := make_interval(secs => (greatest(1, pace * together) - level) / pace);
            why := format('limited to %s tasks a second', round(pace::numeric, CASE WHEN pace < 10 THEN 2 ELSE 1 END));
            RETURN;
        END IF;
    END IF;

    IF gate.tokens_per_minute IS NOT NULL THEN
        allowed := gate.tokens_per_minute / 60;
        SELECT t.* INTO totals FROM contentq.gate_totals(gate.key) AS t;
        expected := CASE WHEN totals.answered >= 3 THEN totals.tokens / totals.answered ELSE allowed END;
        tokens_used := totals.tokens + (expected * contentq.gate_running(gate.key))::numeric;
        tokens_left := least(
            greatest(allowed, expected),
            CASE WHEN gate.tokens_left IS NOT NULL AND isfinite(gate.spent_at)
                 THEN gate.tokens_left + allowed * extract(epoch FROM now_ - gate.spent_at)
                      - (tokens_used - gate.tokens_seen)::float8 END
        );
        IF expected > 0 AND tokens_left < expected * room THEN
            room := greatest(0, floor(tokens_left / expected + 1e-6));
            IF room < 1 THEN
                next_in := make_interval(secs => least(60, (expected - tokens_left) / allowed));
                why := format('limited to %s tokens a minute, and a task uses %s',
                              round(gate.tokens_per_minute), round(expected));
                RETURN;
            END IF;
        END IF;
    END IF;

    IF cap IS NOT NULL THEN
        running := contentq.gate_running(gate.key)
            + coalesce(gate_state.unregistered, contentq.unregistered_running());
        -- A refused call takes its place for a moment more: the next one would be refused as well.
        refused := CASE WHEN gate.cap IS NULL THEN 0 ELSE (
            SELECT count(*)
            FROM (
                SELECT e.at, e.kind
                FROM contentq.gate_events AS e
                WHERE e.key = gate.key
                ORDER BY e.key DESC, e.id DESC
                LIMIT cap
            ) AS e
            WHERE e.at > now_ - look_again
              AND e.kind <> 'unanswered'
        ) END;
        room := least(room, greatest(0, cap - running - refused));
        IF room < 1 THEN
            next_in := look_again;
            why := format('%s of %s running', running, cap)
                   || CASE WHEN refused > 0 THEN format(', %s refused a moment ago', refused) ELSE '' END
                   || CASE WHEN gate.max_running <= cap THEN '' ELSE ', a limit learned from refusals' END;
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.gate_state(contentq.gates, timestamptz, integer) IS
    'Internal: how many tasks may start now at a gate; if none, how long until one may, and why.';
