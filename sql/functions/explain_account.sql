-- Explains why no task of an account in a category may start.
-- Called by: explain_waiting(). blocked: the result of left_out_accounts(). category: '' for none.
-- has_answer: whether a batch answer is ready for the task; budgets do not apply then.
-- Locks: nothing. Returns: one line for each reason; no rows if a task may start.
CREATE OR REPLACE FUNCTION contentq.explain_account(account public.accounts, blocked bigint[], category text, has_answer boolean)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    account_id constant bigint := (account).id;
    running bigint;
BEGIN
    IF (account).paused_until > clock_timestamp() AND account_id = ANY (blocked) THEN
        RETURN NEXT format('account %s is paused %s; to resume it: contentq resume --account %s', account_id,
                           CASE WHEN (account).paused_until = 'infinity' THEN 'until someone resumes it'
                                ELSE format('until %s', date_trunc('second', (account).paused_until)) END,
                           account_id);
    END IF;
    IF (account).max_running IS NOT NULL THEN
        SELECT count(*)
        INTO running
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.account_id = (explain_account.account).id;
        IF running >= (account).max_running THEN
            RETURN NEXT format('account %s is at its cap: %s of max_running %s are running; to raise the cap: contentq accounts '
                               'set %s --max-running %s', account_id, running, (account).max_running, account_id, running + 1);
        END IF;
    END IF;
    IF has_answer THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT b.line FROM contentq.explain_budgets(account_id, category) AS b (line);
END;
$$;

COMMENT ON FUNCTION contentq.explain_account(public.accounts, bigint[], text, boolean) IS
    'Internal: why no task of an account in a category may start, one line for each reason.';
