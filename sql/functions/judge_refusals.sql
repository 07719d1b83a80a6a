-- Evaluates what refused calls mean for the pace of a gate.
-- Called by: judge_gate(). Locks: nothing. Returns: the new row of the gate, not stored.
-- It considers attempts that began after the last cut (cut_at, when the workers had claimed cut_calls) and were refused
-- within the last cycle, plus the duration of the calls. It compares them with the claims since the first of them was
-- reported.
--
-- Refusals right after a cut may be its echo: the provider's window is used up, or its slots are taken, by calls from before
-- the cut. So attempts that began within a second of it count only if they show a pace that is far too high: more than
-- half of at least 20 were refused. They tell too little for more than half of what was called to be cut.
--
-- Some providers refuse a share of all calls at any pace. Only a trial can show that: while cut_share is set, the pace
-- stays below the value after the cut. If as much is refused as before, the pace is cut again, by a quarter. If that makes
-- no difference either, the pace returns to its old value (cut_from) and the share refused is noise, for five minutes. A
-- share of more than a fifth is never noise, and a gate without a limit is not cut for less. Not every cut starts a trial:
-- a result counts for five minutes, unless refusals come again at a pace that worked before, or soon.
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
    -- The share of refusals that is tolerated.
    small constant float8 := 0.03;
    lowest constant float8 := 0.01;
    most_noise constant float8 := 0.2;
    pace constant float8 := contentq.gate_pace(gate);
    noise constant float8 := CASE WHEN gate.noise_at > now_ - interval '5 minutes' THEN gate.noise ELSE 0 END;
    is_probing constant boolean :=
        gate.is_ramping OR coalesce(pace >= gate.peak, false);
    used_up contentq.gate_events;
    seen record;
    settled record;
    claimed float8;
    expected float8;
    seconds float8;
    share float8;
    called float8;
    rate float8;
    accepted float8;
    deviations float8;
    is_early boolean;
    is_steep boolean;
    has_doubled boolean;
    former contentq.gates;
BEGIN
    used_up := contentq.gate_used_up(gate, judge_refusals.last_answered, now_);
    IF used_up.until > gate.opens_at THEN
        -- The rate accepted since the provider was last exhausted.
        seconds := CASE WHEN isfinite(gate.cut_at) THEN extract(epoch FROM now_ - gate.cut_at) END;
        IF seconds < 600 THEN
            rate := (judge_refusals.calls - gate.cut_calls - contentq.gate_refused(gate)) / seconds;
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

    SELECT r.* INTO seen FROM contentq.gate_refusals(gate, gate.cut_at, now_) AS r;
    IF seen.new = 0 THEN
        RETURN gate;
    END IF;

    IF gate.cap IS NOT NULL THEN
        claimed := greatest(judge_refusals.calls - seen.first_calls, seen.refused_since);
        expected := claimed * greatest(1.5 * noise, small);
        RETURN contentq.judge_cap(
            gate, judge_refusals.calls, seen.refused_since, claimed,
            seen.refused_since >= (CASE WHEN claimed >= 20 THEN 2 ELSE 5 END)
            AND seen.refused_since > expected + 3 * sqrt(expected),
            now_
        );
    END IF;

    IF gate.cut_share IS NOT NULL THEN
        claimed := greatest(judge_refusals.calls - gate.cut_calls, seen.refused);
        CASE contentq.judge_trial(gate, judge_refusals.calls, now_)
            WHEN 'goes on' THEN
                RETURN gate;
            WHEN 'real' THEN
                RETURN contentq.end_trial(gate, now_);
            WHEN 'noise' THEN
                gate.cut_at := now_;
                gate.cut_calls := judge_refusals.calls;
                gate.grown := 0;
                IF NOT gate.cut_twice THEN
                    gate.cut_twice := true;
                    gate.peak := 0.75 * gate.peak;
                    RETURN gate;
                END IF;
                gate.noise := seen.refused / claimed;
                gate.noise_at := now_;
                gate.peak := gate.cut_from;
                gate.grown := 0.08 / 0.09 * contentq.gate_cycle(gate.peak);
                gate.cut_share := NULL;
                RETURN gate;
            ELSE
                gate.cut_share := NULL;
        END CASE;
    END IF;

    SELECT r.* INTO settled FROM contentq.gate_refusals(gate, gate.cut_at + interval '1 second', now_) AS r;
    is_early := settled.refused = 0;
    IF NOT is_early THEN
        seen := settled;
    END IF;
    claimed := greatest(judge_refusals.calls - seen.first_calls, seen.refused_since);
    IF is_early AND (claimed < 20 OR seen.refused_since <= 0.5 * claimed) THEN
        RETURN gate;
    END IF;
    -- A few calls tell little about the share: it must exceed the expected one by 1.5 standard deviations, or 3 where the
    -- pace worked. Without a limit, whether by chance or near a limit, a cut for less than most_noise would cost more than
    -- the refusals.
    expected := claimed * greatest(1.5 * noise, CASE WHEN pace IS NULL THEN most_noise ELSE small END);
    -- Many refusals at once, at a pace that has just grown.
    is_steep := is_probing AND NOT gate.is_ramping AND gate.grown > 0.8 * extract(epoch FROM now_ - gate.cut_at)
                AND seen.refused_since >= 0.25 * claimed;
    has_doubled := is_probing AND NOT gate.is_ramping AND pace >= 1.25 * gate.peak;
    deviations := CASE WHEN is_probing OR pace IS NULL THEN 1.5 ELSE 3 END;
    IF seen.refused_since < (CASE WHEN claimed >= 20 THEN 2 WHEN is_steep THEN 3 ELSE 5 END)
        OR seen.refused_since <= expected + deviations * sqrt(expected)
    THEN
        RETURN gate;
    END IF;

    share := seen.refused_since / (claimed + 3);
    seconds := extract(epoch FROM now_ - seen.first_at);
    -- Busy workers call less often than a high pace allows. A lower pace changes nothing until it is below that.
    called := CASE WHEN claimed >= 20 AND claimed < 0.6 * pace * seconds THEN claimed / seconds ELSE pace END;
    rate := CASE
        WHEN pace IS NULL THEN claimed / greatest(1, seconds)
        -- The pace has grown since.
        WHEN gate.is_ramping THEN 0.8 * called
        WHEN seconds >= 1 AND gate.grown < 0.8 * extract(epoch FROM now_ - gate.cut_at) THEN least(claimed / seconds, pace)
        ELSE called
    END * (1 - greatest(0, share - noise));
    -- Tasks that run tell more than claims, which are few while all slots are taken.
    IF pace IS NULL OR share < most_noise AND seconds >= 1 AND claimed / seconds < 0.7 * pace THEN
        rate := least(greatest(rate, contentq.gate_rate(gate.key, now_)), pace);
    END IF;
    -- At least the calls accepted in the last second: if the last calls of each second are refused, the shares alone
    -- estimate too low a rate. Quick calls have ended by then; for a rising pace, the calls accepted since the cut count
    -- instead.
    accepted := contentq.gate_running(gate.key, now_ - interval '1050 milliseconds', now_ - interval '50 milliseconds');
    IF gate.is_ramping THEN
        accepted := greatest(accepted, (judge_refusals.calls - gate.cut_calls - contentq.gate_refused(gate))
                                       / greatest(1, extract(epoch FROM now_ - gate.cut_at)));
    END IF;
    rate := greatest(rate, least(accepted, pace), CASE WHEN is_early THEN 0.5 * called END);
    IF is_steep OR has_doubled THEN
        -- The limit is about the pace at which the refusals began. A provider that allows no bursts refuses every other call as
        -- soon as the pace is above it, and a pace that doubles is far above it when enough calls were refused. A provider that
        -- counts the calls of a second refuses the last ones.
        former := gate;
        former.grown := greatest(0, gate.grown - seconds - 1);
        rate := CASE WHEN is_steep THEN contentq.gate_pace(former) ELSE least(rate, contentq.gate_pace(former)) END;
    ELSIF is_probing AND NOT gate.is_ramping AND gate.grown > 0.8 * extract(epoch FROM now_ - gate.cut_at) THEN
        -- Calls accepted over a whole cycle are a better estimate than those of its last moments. It is relative to the
        -- pace, not to the clock: late workers start a little less than the pace allows.
        rate := gate.peak * (0.92 + 0.045 * least(3, gate.grown / contentq.gate_cycle(gate.peak)))
                * (1 - contentq.gate_refused(gate)::float8 / greatest(judge_refusals.calls - gate.cut_calls, 1))
                / (1 - noise);
    END IF;
    gate.cut_share := CASE
        WHEN share < most_noise
            AND (gate.noise_at <= now_ - interval '5 minutes' OR NOT is_probing
                 OR now_ < gate.cut_at + make_interval(secs => contentq.gate_cycle(gate.peak)))
        THEN share
    END;
    gate.cut_twice := false;
    gate.cut_from := pace;
    gate.peak := greatest(lowest, rate);
    gate.grown := 0;
    -- In these cases little is known about what the provider would have accepted. A pace that was only halved is not doubled
    -- again.
    gate.is_ramping := gate.cut_share IS NULL
        AND (pace IS NULL AND seconds < 1
             OR NOT is_early AND seen.refused_since >= 0.8 * claimed AND accepted < 0.2 * pace);
    gate.cut_at := now_;
    gate.cut_calls := judge_refusals.calls;
    gate.level := least(gate.level, 0);
    RETURN contentq.learn_cap(gate, pace IS NOT NULL AND NOT is_early, seen.last_began_at, now_);
END;
$$;

COMMENT ON FUNCTION contentq.judge_refusals(contentq.gates, bigint, timestamptz, timestamptz) IS
    'Internal: the row of a gate after refused calls are evaluated for its pace.';
