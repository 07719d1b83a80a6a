-- The accounts, wherever their table is: the columns that contentq knows.
CREATE OR REPLACE VIEW contentq.accounts WITH (security_invoker = true) AS
SELECT a.id, a.name, a.created_at, a.external_id, a.paused_until, a.monthly_budget, a.share,
    a.max_running
FROM public.accounts AS a;

COMMENT ON VIEW contentq.accounts IS
    'Table accounts, whatever schema it is in: the columns that contentq knows; can be read and written like it.';
