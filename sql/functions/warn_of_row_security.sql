-- Warns a worker whose rights do not show it all rows: it would say that there is nothing to do.
-- Called by: register_worker(). Locks: nothing. Returns: nothing; raises a warning, which workers log.
CREATE OR REPLACE FUNCTION contentq.warn_of_row_security()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secured constant text := concat_ws(
        ', ',
        CASE WHEN row_security_active('public.content_generation_tasks') THEN 'content_generation_tasks' END,
        CASE WHEN row_security_active('public.accounts') THEN 'accounts' END,
        CASE WHEN row_security_active('public.contents') THEN 'contents' END
    );
BEGIN
    IF secured <> '' THEN
        RAISE WARNING 'row level security is in force for %: % sees only the rows that a policy gives to it; '
                      'give it a policy for all rows, or BYPASSRLS', secured, current_user;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.warn_of_row_security() IS
    'Internal: raises a warning when row level security keeps rows of the tables from the caller.';
