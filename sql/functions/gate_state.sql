-- How many tasks may start now at a gate, and what is in the way: the one place that decides it.
-- Called by: gate_room(), spend_gate() and gate_wait(), and so for claims, explain() and the views.
-- Locks: nothing; exact only under the lock of the gate's row.
-- Returns: room; when there is none, next_in, the time until there may be (NULL: not known) and why, in words. And what
--          spend_gate() takes from: the level of the bucket, the tokens that are left, and those used or expected so far.
--
-- The bucket holds the tasks of 50 milliseconds, and one at least: a provider whose own holds one call refuses two at once.
-- Tokens: what a task will take is what the gate's tasks took on average, one second's allowance while nothing is
-- known, and is settled when it is known. The tokens of a second may be taken at once, and those of one task.
CREATE OR REPLACE FUNCTION contentq.gate_state(
    gate contentq.gates,
    now_ timestamptz,
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
    -- Seconds of tasks that are waited for, so that a high pace does not mean as many claims.
    together constant float8 := 0.025;
    -- No one is told of a task that ends or of an answer that a probe gets (but see note_answers()).
    look_again constant interval := interval '500 milliseconds';
    pace constant float8 := contentq.gate_pace(gate);
    since timestamptz;
    totals record;
    expected float8;
    allowed float8;
    running integer;
BEGIN
    room := 2147483647;
    IF gate.opens_at > now_ THEN
        room := 0;
        next_in := CASE WHEN gate.opens_at < 'infinity' THEN gate.opens_at - now_ END;
        why := 'closed' || contentq.gate_closure_text(gate);
        RETURN;
    ELSIF gate.half_open THEN
        room := CASE WHEN contentq.gate_running(gate.key, gate.opens_at) = 0 THEN 1 ELSE 0 END;
        next_in := look_again;
        why := 'one task tries whether the provider is back';
        RETURN;
    END IF;
    -- While it was closed, nothing was added.
    since := greatest(gate.spent_at, gate.opens_at);

    IF pace IS NOT NULL THEN
        level := least(
            greatest(1, pace * burst),
            CASE WHEN isfinite(since) THEN gate.level + pace * extract(epoch FROM now_ - since) ELSE 1 END
        );
        -- A hair less than a whole task is one: whoever waits until it is there must not find it missing.
        room := floor(level + 1e-6);
        IF room < 1 THEN
            next_in := make_interval(secs => (greatest(1, pace * together) - level) / pace);
            why := format('its turn at %s a second', round(pace::numeric, CASE WHEN pace < 10 THEN 2 ELSE 1 END));
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
                why := format('its turn at %s tokens a minute, of which a task takes %s',
                              round(gate.tokens_per_minute), round(expected));
                RETURN;
            END IF;
        END IF;
    END IF;

    IF gate.max_running IS NOT NULL THEN
        running := contentq.gate_running(gate.key);
        room := least(room, greatest(0, gate.max_running - running));
        IF room < 1 THEN
            next_in := look_again;
            why := format('%s of %s running', running, gate.max_running);
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.gate_state(contentq.gates, timestamptz) IS
    'Internal: how many tasks may start now at a gate, and if none, how long until one may, and why.';
