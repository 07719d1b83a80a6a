-- The accounts whose tasks are not claimed now, those with the most pending tasks first. Accounts at their cap are included
-- only if they have pending tasks.
CREATE OR REPLACE VIEW contentq.paused_accounts WITH (security_invoker = true) AS
SELECT
    h.account_id,
    CASE WHEN length(h.name) > 30 THEN left(h.name, 27) || '...' ELSE h.name END AS name,
    concat_ws(
        ', ',
        CASE WHEN h.paused_until IS NOT NULL THEN 'paused' END,
        CASE WHEN h.over_budget_until IS NOT NULL THEN 'budget used up' END,
        CASE WHEN h.is_at_cap THEN format('at its cap (%s of %s)', h.running, h.max_running) END
    ) AS why,
    date_trunc('second', greatest(h.paused_until, h.over_budget_until)) AS until,
    h.pending
FROM (
    SELECT a.id::bigint AS account_id, a.name, b.paused_until, b.over_budget_until, a.max_running, r.running,
           coalesce(r.running >= a.max_running, false) AS is_at_cap, w.pending
    FROM public.accounts AS a
    LEFT JOIN contentq.blocked_accounts AS b ON b.account_id = a.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS running
        FROM public.content_generation_tasks AS t
        WHERE t.account_id = a.id
          AND t.status = 'processing'
    ) AS r
    CROSS JOIN LATERAL (
        SELECT count(*) AS pending
        FROM public.content_generation_tasks AS t
        WHERE t.account_id = a.id
          AND t.status = 'pending'
    ) AS w
    WHERE b.account_id IS NOT NULL
       OR a.max_running IS NOT NULL
) AS h
WHERE h.paused_until IS NOT NULL
   OR h.over_budget_until IS NOT NULL
   OR h.is_at_cap AND h.pending > 0
ORDER BY h.pending DESC, h.account_id;

COMMENT ON VIEW contentq.paused_accounts IS
    'Accounts whose tasks are not claimed now because they are paused, have used up a budget, or are at their cap '
    '(max_running): why, until when (infinity: until someone resumes them), and how many tasks are pending.';
