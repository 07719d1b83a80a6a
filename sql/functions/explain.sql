-- Tells why a task is where it is, and above all why one that waits is not running.
-- Called by: people. Locks: nothing. Returns: one line for each reason; it is never empty.
-- A worker that claims only some categories, and one in another language that does not register as it should, are
-- not known here.
CREATE OR REPLACE FUNCTION contentq.explain(task_id text)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    most_counted constant integer := 10000;
    now_ constant timestamptz := clock_timestamp();
    task public.content_generation_tasks;
    account public.accounts;
    held contentq.blocked_accounts;
    spent numeric;
    fleet record;
    closed contentq.gates;
    each record;
    held_by record;
    counted bigint;
    ahead bigint;
    reasons integer := 0;
BEGIN
    SELECT t.* INTO task FROM public.content_generation_tasks AS t WHERE t.task_id = explain.task_id;
    IF NOT FOUND THEN
        RETURN NEXT format('there is no task %s', explain.task_id);
        RETURN;
    END IF;

    IF task.status = 'processing' THEN
        SELECT w.id, w.hostname, w.pid, w.heartbeat_at < now_ - s.heartbeat_timeout AS is_silent,
               now_ - w.heartbeat_at AS silence
        INTO held_by
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        WHERE w.id = task.worker_id;
        RETURN NEXT format('it is running: attempt %s began %s ago', task.attempt,
                           date_trunc('second', now_ - task.started_at));
        IF task.worker_id IS NULL OR held_by.id IS NULL THEN
            RETURN NEXT 'no worker holds it: it was set to processing by hand, and who did that ends it, or its deadline';
            RETURN NEXT 'when nobody works on it any more: contentq cancel, then contentq requeue';
        ELSIF held_by.is_silent THEN
            RETURN NEXT format('its worker %s (%s, pid %s) was not heard for %s: it will be taken back from it',
                               held_by.id, held_by.hostname, held_by.pid, date_trunc('second', held_by.silence));
        ELSE
            RETURN NEXT format('worker %s (%s, pid %s) has it', held_by.id, held_by.hostname, held_by.pid);
        END IF;
        IF task.progress IS NOT NULL OR task.progress_note IS NOT NULL THEN
            RETURN NEXT 'progress: ' || concat_ws(', ', round((task.progress * 100)::numeric) || ' %',
                                                  task.progress_note);
        END IF;
        IF task.cancel_requested_at IS NOT NULL THEN
            RETURN NEXT 'it was cancelled, and its worker is stopping it';
        ELSIF task.timeout_at IS NOT NULL THEN
            RETURN NEXT format('its deadline is %s', date_trunc('second', task.timeout_at));
        END IF;
        RETURN;
    ELSIF task.status <> 'pending' THEN
        RETURN NEXT format('it has ended: %s, %s', task.status,
                           date_trunc('second', coalesce(task.completed_at, task.updated_at)));
        IF task.status <> 'completed' THEN
            RETURN NEXT format('the reason: %s', coalesce(task.error_message, 'none was given'));
            RETURN NEXT format('to put it back: contentq requeue, or SELECT contentq.requeue(%L)', task.task_id);
        ELSIF EXISTS (SELECT
                      FROM public.contents AS c
                      WHERE c.id = task.content_id
                        AND c.account_id + 0 = task.account_id
                        AND c.review_status = 'rejected')
        THEN
            RETURN NEXT format('its content was rejected; to have it revised: contentq requeue --note, or '
                               'SELECT contentq.requeue(%L, ''what to improve'')', task.task_id);
        END IF;
        RETURN;
    END IF;

    IF task.timeout_at <= now_ THEN
        RETURN NEXT format('its deadline has passed (%s): it is about to become timeout',
                           date_trunc('second', task.timeout_at));
        reasons := reasons + 1;
    END IF;
    IF task.scheduled_at = 'infinity' THEN
        RETURN NEXT 'it is not due: scheduled_at is infinity';
        reasons := reasons + 1;
    ELSIF task.scheduled_at > now_ THEN
        RETURN NEXT format('it is not due for %s: scheduled_at is %s%s',
                           date_trunc('second', task.scheduled_at - now_),
                           date_trunc('second', task.scheduled_at),
                           CASE WHEN task.attempt > 0
                                THEN ', since the last attempt ended with: ' || task.error_message END);
        reasons := reasons + 1;
    END IF;
    IF task.attempt = 2147483647 THEN
        RETURN NEXT 'its attempt is the highest there is: it is never claimed';
        reasons := reasons + 1;
    END IF;

    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = task.account_id;
    SELECT h.* INTO held FROM contentq.blocked_accounts AS h WHERE h.account_id = task.account_id;
    IF held.paused_until > now_ THEN
        RETURN NEXT format('account %s is paused %s', task.account_id,
                           CASE WHEN held.paused_until = 'infinity' THEN 'until someone resumes it'
                                ELSE format('until %s', date_trunc('second', held.paused_until)) END);
        reasons := reasons + 1;
    END IF;
    IF held.over_budget_until > now_ THEN
        spent := contentq.spent_this_month(task.account_id);
        RETURN NEXT format('account %s has used up its monthly budget: %s of %s; it goes on %s, or when '
                           'accounts.monthly_budget is raised', task.account_id, round(spent, 4),
                           account.monthly_budget, date_trunc('second', held.over_budget_until));
        reasons := reasons + 1;
    END IF;

    SELECT g.* INTO closed FROM contentq.gates AS g WHERE g.key = '*' AND g.opens_at > now_;
    IF FOUND THEN
        RETURN NEXT 'all workers are paused' || contentq.gate_closure_text(closed);
        reasons := reasons + 1;
    END IF;
    FOR each IN
        SELECT g AS gate, l.with_gate
        FROM contentq.gates AS g
        JOIN (
            SELECT w.gate, count(*) AS with_gate
            FROM contentq.workers AS w
            CROSS JOIN contentq.settings AS s
            WHERE w.heartbeat_at >= now_ - s.heartbeat_timeout
            GROUP BY w.gate
        ) AS l ON l.gate = g.key
        WHERE g.key <> '*'
          AND (g.opens_at > now_ OR g.closed_at > now_ - interval '1 minute')
        ORDER BY g.key
    LOOP
        RETURN NEXT format('gate %s (live workers that have it: %s) ', (each.gate).key, each.with_gate)
            || CASE
                   WHEN (each.gate).opens_at > now_ THEN 'is closed' || contentq.gate_closure_text(each.gate)
                   ELSE format('was closed %s ago, and its workers begin tasks as fast as the provider lets them%s',
                               date_trunc('second', now_ - (each.gate).closed_at),
                               coalesce('; the reason: ' || (each.gate).reason, ''))
               END;
        reasons := reasons + 1;
    END LOOP;

    SELECT count(*) AS alive,
           coalesce(sum(w.slots), 0) AS slots,
           coalesce(sum(b.busy), 0) AS busy,
           count(*) FILTER (WHERE b.busy < w.slots) AS with_room
    INTO fleet
    FROM contentq.workers AS w
    CROSS JOIN contentq.settings AS s
    CROSS JOIN LATERAL (
        SELECT count(*) AS busy
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id = w.id
          AND t.status = 'processing'
    ) AS b
    WHERE NOT w.draining
      AND w.heartbeat_at >= now_ - s.heartbeat_timeout;
    IF fleet.alive = 0 THEN
        RETURN NEXT 'there is no live worker: start one with contentq worker';
        reasons := reasons + 1;
    ELSIF fleet.with_room = 0 THEN
        RETURN NEXT format('all live workers (%s) are full: %s of %s slots are taken',
                           fleet.alive, fleet.busy, fleet.slots);
        reasons := reasons + 1;
    END IF;

    IF task.scheduled_at IS NULL THEN
        SELECT count(*), count(*) FILTER (WHERE h.account_id IS NULL)
        INTO counted, ahead
        FROM (
            SELECT t.account_id, t.priority, t.submitted_at, t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT most_counted
        ) AS first
        LEFT JOIN contentq.blocked_accounts AS h
            ON h.account_id = first.account_id
            AND greatest(h.paused_until, h.over_budget_until) > now_
        WHERE first.priority > task.priority
           OR first.priority = task.priority
              AND (first.submitted_at, first.id) < (task.submitted_at, task.id);
        IF ahead > 0 OR counted = most_counted THEN
            RETURN NEXT CASE
                WHEN counted = most_counted
                THEN format('%s or more ready tasks are ahead of it (priority, then submitted_at), those of blocked '
                            'accounts included', counted)
                ELSE format('%s ready %s ahead of it (priority, then submitted_at)',
                            ahead, CASE WHEN ahead = 1 THEN 'task is' ELSE 'tasks are' END)
            END;
            reasons := reasons + 1;
        END IF;
    END IF;

    IF reasons = 0 THEN
        RETURN NEXT 'nothing stands in its way: it is about to be claimed, unless the workers claim other categories'
                    || CASE WHEN task.category IS NULL THEN ' only' ELSE format(' than %L', task.category) END;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.explain(text) IS
    'Why a task is not running, one line for each reason: not due, paused, budget used up, gate closed, no live '
    'worker, all full, so many ahead of it; or what became of it.';
