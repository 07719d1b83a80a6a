-- What refused calls mean for the pace of a gate.
-- Called by: fold_gate_events(). Locks: nothing. Returns: the gate's row as it is to be.
-- What it knows of: attempts that began since the last cut (cut_at, when the workers had claimed cut_calls) and were refused
-- in the last seconds; those that began before are its echo.
--
-- Some providers refuse a share of all calls, whatever the pace. That a gate cannot know but by trying: it cuts, and if as
-- much is refused then as before (cut_share), it goes back to where it was (cut_from; NULL: it had no pace), and what
-- is refused at that pace is noise, for five minutes. A share of more than a third is not taken for noise.
CREATE OR REPLACE FUNCTION contentq.judge_refusals(
    gate contentq.gates,
    calls bigint,
    last_answered timestamptz,
    now_ timestamptz
)
RETURNS contentq.gates
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- A share of refusals that is let pass at a pace that was good before, and without one.
    small constant float8 := 0.025;
    -- Refusals that are expected in a trial before it is judged.
    enough constant float8 := 8;
    lowest constant float8 := 0.01;
    pace constant float8 := contentq.gate_pace(gate);
    noise constant float8 := CASE WHEN gate.noise_at > now_ - interval '5 minutes' THEN gate.noise ELSE 0 END;
    is_probing constant boolean :=
        gate.is_ramping OR coalesce(gate.peak IS NOT NULL AND gate.grown >= contentq.gate_cycle(gate.peak), false);
    used_up contentq.gate_events;
    seen record;
    claimed float8;
    expected float8;
    seconds float8;
    share float8;
    rate float8;
BEGIN
    used_up := contentq.gate_used_up(gate, judge_refusals.last_answered, now_);
    IF used_up.until > gate.opens_at THEN
        -- What was taken since it was used up the last time.
        seconds := CASE WHEN isfinite(gate.cut_at) THEN extract(epoch FROM now_ - gate.cut_at) END;
        IF seconds < 600 THEN
            rate := (judge_refusals.calls - gate.cut_calls - (
                SELECT count(*)
                FROM contentq.gate_events AS e
                WHERE e.key = gate.key
                  AND e.kind <> 'unanswered'
                  AND e.began_at >= gate.cut_at
                  AND e.at > gate.cut_at
            )) / seconds;
            IF rate > lowest THEN
                gate.peak := rate;
                gate.grown := 0;
                gate.is_ramping := false;
            END IF;
        END IF;
        gate.opens_at := used_up.until;
        gate.half_open := used_up.until >= used_up.at + interval '1 hour';
        gate.reason := used_up.message;
        gate.closed_at := now_;
        gate.closed_by := 'contentq';
        gate.cut_share := NULL;
        gate.cut_at := now_;
        gate.cut_calls := judge_refusals.calls;
        gate.level := least(gate.level, 1);
        RETURN gate;
    END IF;

    SELECT count(*) AS refused,
           count(*) FILTER (WHERE e.id > gate.folded_id) AS new,
           count(*) FILTER (WHERE e.began_at >= e.first_at) AS refused_since,
           min(e.at) AS first_at,
           min(e.calls) AS first_calls
    INTO seen
    FROM (
        SELECT e.*, min(e.at) OVER () AS first_at
        FROM (
            SELECT e.*
            FROM contentq.gate_events AS e
            WHERE e.key = gate.key
            ORDER BY e.key DESC, e.id DESC
            LIMIT 1000
        ) AS e
        WHERE e.kind <> 'unanswered'
          AND e.began_at >= gate.cut_at
          AND e.at > now_ - make_interval(secs => CASE WHEN gate.peak IS NULL THEN 5
                                                       ELSE contentq.gate_cycle(gate.peak) END)
    ) AS e;
    IF seen.new = 0 THEN
        RETURN gate;
    END IF;

    IF gate.cut_share IS NOT NULL AND NOT is_probing THEN
        claimed := greatest(judge_refusals.calls - gate.cut_calls, seen.refused);
        expected := gate.cut_share * claimed;
        IF expected < enough AND seen.refused < enough THEN
            RETURN gate;
        ELSIF seen.refused BETWEEN 0.6 * expected AND 1.6 * expected THEN
            gate.cut_at := now_;
            gate.cut_calls := judge_refusals.calls;
            IF pace > 0.75 * gate.cut_from THEN
                gate.peak := 0.8 * gate.peak;
                gate.grown := 0;
                RETURN gate;
            END IF;
            gate.noise := seen.refused / claimed;
            gate.noise_at := now_;
            gate.peak := gate.cut_from;
            gate.grown := coalesce(contentq.gate_cycle(gate.peak), 0);
            gate.is_ramping := false;
            gate.cut_share := NULL;
            RETURN gate;
        END IF;
        gate.cut_share := NULL;
    END IF;

    -- Of what began since the first of them was reported.
    claimed := greatest(judge_refusals.calls - seen.first_calls, seen.refused_since);
    expected := claimed * greatest(1.5 * noise, small);
    IF seen.refused_since < (CASE WHEN claimed >= 20 THEN 2 ELSE 5 END)
        OR seen.refused_since <= expected + (CASE WHEN is_probing THEN 1.5 ELSE 3 END) * sqrt(expected)
    THEN
        RETURN gate;
    END IF;

    share := seen.refused_since / (claimed + 3);
    seconds := extract(epoch FROM now_ - seen.first_at);
    rate := claimed / greatest(1, seconds);
    IF pace IS NOT NULL THEN
        rate := CASE WHEN seconds >= 1 THEN least(rate, pace) ELSE pace END;
    END IF;
    gate.cut_from := pace;
    gate.cut_share := CASE WHEN share < 0.2 THEN share END;
    rate := rate * (1 - greatest(0, share - noise));
    IF is_probing AND NOT gate.is_ramping AND gate.grown > 0.8 * extract(epoch FROM now_ - gate.cut_at) THEN
        -- What was taken over a whole cycle is known better than what was taken in its last moments.
        rate := (judge_refusals.calls - gate.cut_calls - (
            SELECT count(*)
            FROM contentq.gate_events AS e
            WHERE e.key = gate.key
              AND e.kind <> 'unanswered'
              AND e.began_at >= gate.cut_at
              AND e.at > gate.cut_at
        )) / extract(epoch FROM now_ - gate.cut_at) / (1 - noise);
    END IF;
    gate.peak := greatest(lowest, rate);
    gate.grown := 0;
    -- Little is known then of what would have been taken.
    gate.is_ramping := pace IS NULL AND seconds < 1
        OR (gate.is_ramping OR pace IS NULL) AND seen.refused_since >= 0.5 * claimed;
    gate.cut_at := now_;
    gate.cut_calls := judge_refusals.calls;
    gate.level := least(gate.level, 0);
    RETURN gate;
END;
$$;

COMMENT ON FUNCTION contentq.judge_refusals(contentq.gates, bigint, timestamptz, timestamptz) IS
    'Internal: what refused calls mean for the pace of a gate.';
