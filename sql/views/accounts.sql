-- The accounts, regardless of the schema of their table: the columns that contentq uses.
CREATE OR REPLACE VIEW contentq.accounts WITH (security_invoker = true) AS
SELECT a.id, a.name, a.created_at, a.external_id, a.paused_until, a.monthly_budget, a.share,
    a.max_running
FROM public.accounts AS a;

COMMENT ON VIEW contentq.accounts IS
    'Table accounts, regardless of its schema: the columns that contentq uses. Read and write it like the table.';
