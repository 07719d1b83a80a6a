-- Runs the maintenance that is due: deadlines, dead workers, scheduled tasks, waiting sessions, old tasks, budgets.
-- Called by: every worker, after the time that the last call returned; the first to call does the work.
-- Locks: the row of maintenance, which other callers skip instead of waiting; then as the functions it calls.
-- Returns: how long to wait before the next call: until the next deadline or the next possible death of a worker that it
--          knows of, at most 4 seconds.
-- Raises no error of a step: the error becomes a warning, and the other steps still run. A failed step would probably fail
--          again, so the next call waits the full time.
--
-- A missing heartbeat shows that a worker is dead only while workers could reach the database. maintenance.watched_since is
-- the start of an unbroken series of these calls. After a restart, a failover or a network cut the series begins anew, so
-- every worker has the full timeout to send a heartbeat again. Heartbeats are judged as of the start of this call: if this
-- call is delayed, the workers are delayed too.
CREATE OR REPLACE FUNCTION contentq.maintain()
RETURNS interval
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    longest_wait constant interval := interval '4 seconds';
    batch constant integer := 1000;
    now_ constant timestamptz := clock_timestamp();
    settings contentq.settings;
    watch contentq.maintenance;
    step text;
    done integer;
    deleted integer;
    more boolean := false;
    has_failed boolean := false;
    next_event timestamptz;
    began timestamptz;
    line text;
    held_since timestamptz;
    holder text;
BEGIN
    PERFORM FROM contentq.maintenance FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT m.ran_at, contentq.lock_holder(m.xmax)
        INTO held_since, holder
        FROM contentq.maintenance AS m
        WHERE m.ran_at < now_ - 4 * longest_wait
          AND isfinite(m.ran_at);  -- before the first call, the start of the delay is not known
        IF FOUND THEN
            RAISE WARNING 'deadlines, rescues and clean-up have been blocked since %: the row of contentq.maintenance is locked '
                          'by %',
                date_trunc('second', held_since), holder;
        END IF;
        RETURN longest_wait;
    END IF;
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;

    UPDATE contentq.maintenance AS m
    SET ran_at = now_,
        watched_since = CASE WHEN m.ran_at < now_ - greatest(settings.heartbeat_timeout * 0.6, longest_wait * 1.25)
                             THEN now_ ELSE m.watched_since END
    RETURNING m.* INTO STRICT watch;

    FOREACH step IN ARRAY ARRAY[
        'sweep', 'promote', 'rescue', 'end hopeless tasks', 'notify waiters', 'check budgets', 'clean up'
    ]
    LOOP
        BEGIN
            done := 0;
            IF step = 'sweep' THEN
                done := contentq.sweep_timeouts(batch);
            ELSIF step = 'promote' THEN
                done := contentq.promote_scheduled(batch);
                IF done > 0 THEN
                    PERFORM contentq.notify_ready();
                END IF;
            ELSIF step = 'rescue' THEN
                IF watch.watched_since <= now_ - settings.heartbeat_timeout THEN
                    done := contentq.rescue_silent(now_ - settings.heartbeat_timeout);
                END IF;
            ELSIF step = 'end hopeless tasks' THEN
                IF settings.deadlines THEN
                    done := contentq.sweep_hopeless(batch);
                END IF;
            ELSIF step = 'notify waiters' THEN
                done := contentq.forget_awaited(
                    CASE WHEN watch.cleaned_at < now_ - interval '1 minute' THEN '-infinity'
                         ELSE now_ - interval '30 seconds' END,
                    batch
                );
            ELSIF step = 'check budgets' THEN
                IF watch.budgets_due_at <= now_ AND contentq.has_budgets() THEN
                    began := clock_timestamp();
                    FOR line IN SELECT b.line FROM contentq.note_budgets() AS b (line) LOOP
                        RAISE WARNING '%', line;
                    END LOOP;
                    -- With very many budgets, the check takes at most a fiftieth of the time.
                    UPDATE contentq.maintenance
                    SET budgets_due_at = now_ + least(50 * (clock_timestamp() - began), interval '10 minutes');
                END IF;
            ELSIF watch.cleaned_at < now_ - interval '1 minute' THEN
                IF settings.retention IS NOT NULL THEN
                    done := contentq.cleanup(settings.retention, batch);
                END IF;
                IF settings.failed_retention IS NOT NULL THEN
                    done := greatest(done, contentq.cleanup_failed(settings.failed_retention, batch));
                END IF;
                DELETE FROM contentq.dead_workers
                WHERE id = ANY (ARRAY(
                    SELECT d.id
                    FROM contentq.dead_workers AS d
                    WHERE d.found_at < now_ - coalesce(settings.retention, interval '30 days')
                    ORDER BY d.found_at
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                done := greatest(done, contentq.forget_gate_events(batch), contentq.forget_requests(batch));
                DELETE FROM contentq.claimers
                WHERE worker_id = ANY (ARRAY(
                    SELECT c.worker_id
                    FROM contentq.claimers AS c
                    WHERE NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = c.worker_id)
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                DELETE FROM contentq.gate_counts
                WHERE id = ANY (ARRAY(
                    SELECT c.id
                    FROM contentq.gate_counts AS c
                    WHERE NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = c.worker_id)
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                IF settings.deadlines THEN
                    PERFORM contentq.measure_durations();
                END IF;
                IF done < batch THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
            END IF;
            more := more OR done >= batch;
        EXCEPTION
            WHEN OTHERS THEN
                has_failed := true;
                RAISE WARNING 'contentq.maintain() could not %: %', step, SQLERRM
                    USING ERRCODE = SQLSTATE;
                IF step = 'clean up' THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
        END;
    END LOOP;
    IF more THEN
        RETURN interval '0';
    ELSIF has_failed THEN
        RETURN longest_wait;
    END IF;

    -- A live worker stops its handlers at their deadlines itself; the sweep follows a moment later.
    next_event := least(
        -- More than the longest wait, however long these queries take.
        now_ + interval '1 minute',
        (SELECT min(t.timeout_at) + interval '250 milliseconds'
         FROM public.content_generation_tasks AS t
         WHERE t.status IN ('pending', 'processing')
           AND t.timeout_at IS NOT NULL
           AND t.timeout_at < now_ + longest_wait),
        (SELECT greatest(min(w.heartbeat_at), watch.watched_since) + settings.heartbeat_timeout
         FROM contentq.workers AS w)
    );
    RETURN least(longest_wait, greatest(next_event - clock_timestamp() + interval '10 milliseconds',
                                        interval '100 milliseconds'));
END;
$$;

COMMENT ON FUNCTION contentq.maintain() IS
    'Maintenance, run by whichever worker calls first: sweeps deadlines, rescues tasks of dead workers, makes scheduled '
    'tasks ready, deletes what is older than settings.retention and failed_retention, records budgets that are near their '
    'end. Returns how long to wait before the next call.';
