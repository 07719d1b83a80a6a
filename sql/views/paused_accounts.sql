-- The accounts whose tasks are not claimed now, those with the most waiting first.
CREATE OR REPLACE VIEW contentq.paused_accounts WITH (security_invoker = true) AS
SELECT
    h.account_id,
    CASE WHEN length(a.name) > 30 THEN left(a.name, 27) || '...' ELSE a.name END AS name,
    concat_ws(
        ', ',
        CASE WHEN h.paused_until > clock_timestamp() THEN 'paused' END,
        CASE WHEN h.over_budget_until > clock_timestamp() THEN 'budget used up' END
    ) AS why,
    date_trunc('second', greatest(h.paused_until, h.over_budget_until)) AS until,
    (SELECT count(*)
     FROM public.content_generation_tasks AS t
     WHERE t.account_id = h.account_id
       AND t.status = 'pending') AS pending
FROM contentq.blocked_accounts AS h
LEFT JOIN public.accounts AS a ON a.id = h.account_id
WHERE greatest(h.paused_until, h.over_budget_until) > clock_timestamp()
ORDER BY pending DESC, h.account_id;

COMMENT ON VIEW contentq.paused_accounts IS
    'Accounts whose tasks are not claimed now, since they are paused or have used up their monthly budget: until when '
    '(infinity: until someone resumes them), and how many tasks wait.';
