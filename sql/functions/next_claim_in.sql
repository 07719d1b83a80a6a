-- Says how long until there may be something more to claim, so that an idle worker sleeps exactly that long: until a
-- scheduled task becomes ready, until an account is blocked no more, or until choose_ready() of this session should look
-- at everything again; and 5 milliseconds when its last claim came while tasks were being committed that no one may
-- have been notified of, twice as long each time that it looked in vain, up to 320. When its last claim found the gate
-- closed: until that opens, whatever else there is.
-- Called by: workers, when a claim found nothing more.
-- It is volatile, so that in one statement with a claim it sees what the claim has done.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_claim_in()
RETURNS interval
LANGUAGE sql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT CASE
        WHEN g.opens_at = 'infinity'
        THEN NULL
        WHEN g.opens_at IS NOT NULL
        THEN greatest(g.opens_at - clock_timestamp(), interval '0')
        WHEN nullif(split_part(current_setting('contentq.look_again', true), ' ', 1), '')::float8
             BETWEEN extract(epoch FROM clock_timestamp()) - 1 AND extract(epoch FROM clock_timestamp())
        THEN interval '5 milliseconds'
             * power(2, split_part(current_setting('contentq.look_again', true), ' ', 2)::integer)
        WHEN d.due IS NOT NULL
        THEN greatest(d.due - clock_timestamp(), interval '0')
    END
    FROM (
        SELECT least(
            (SELECT t.scheduled_at
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NOT NULL
               AND t.scheduled_at < 'infinity'
             ORDER BY t.scheduled_at
             LIMIT 1),
            (SELECT min(greatest(h.paused_until, h.over_budget_until))
             FROM contentq.blocked_accounts AS h
             WHERE greatest(h.paused_until, h.over_budget_until) > clock_timestamp()
               AND greatest(h.paused_until, h.over_budget_until) < 'infinity'),
            (SELECT (m.memory->>'until')::timestamptz
             FROM (SELECT nullif(current_setting('contentq.ready_heads', true), '')::jsonb AS memory) AS m
             WHERE NOT coalesce((m.memory->>'idle')::boolean, false))
        ) AS due
    ) AS d
    CROSS JOIN (
        SELECT (nullif(current_setting('contentq.gate', true), '')::jsonb->>'opens_at')::timestamptz AS opens_at
    ) AS g;
$$;

COMMENT ON FUNCTION contentq.next_claim_in() IS
    'Time until the next scheduled task becomes ready, until the gate that its last claim found closed opens, or '
    'until this session should look again for another reason; '
    'NULL when there is no such time.';
