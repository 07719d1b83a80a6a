-- Counts how many of the given tasks of an account may start now under its cap and its budgets.
-- Called by: explain_ahead(), explain_aging(). categories: those of the tasks, in order; '' for none.
-- Locks: nothing. Returns: 0 or more; NULL if neither a cap nor a budget limits the account.
CREATE OR REPLACE FUNCTION contentq.account_fits(account public.accounts, categories text[])
RETURNS integer
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    fitting text[] := account_fits.categories;
    is_limited boolean := (account).max_running IS NOT NULL;
    fits boolean[];
    each record;
BEGIN
    IF is_limited THEN
        fitting := fitting[:contentq.account_room(account)];
    END IF;
    FOR each IN
        SELECT 'month' AS period, NULL AS category, (account).monthly_budget AS amount
        WHERE (account).monthly_budget IS NOT NULL
        UNION ALL
        SELECT b.period, b.category, b.amount
        FROM contentq.budgets AS b
        WHERE b.account_id = (account).id
    LOOP
        is_limited := true;
        SELECT r.fits
        INTO fits
        FROM contentq.budget_room(
            (account).id, each.category, each.period, each.amount, '{}',
            ARRAY(SELECT u.category
                  FROM unnest(fitting) WITH ORDINALITY AS u (category, place)
                  WHERE coalesce(u.category = each.category, true)
                  ORDER BY u.place)) AS r;
        fitting := ARRAY(
            SELECT u.category
            FROM (
                SELECT w.category, w.place, coalesce(w.category = each.category, true) AS counts,
                       count(*) FILTER (WHERE coalesce(w.category = each.category, true)) OVER (ORDER BY w.place) AS number
                FROM unnest(fitting) WITH ORDINALITY AS w (category, place)
            ) AS u
            WHERE NOT u.counts
               OR fits[u.number]
            ORDER BY u.place
        );
    END LOOP;
    RETURN CASE WHEN is_limited THEN cardinality(fitting) END;
END;
$$;

COMMENT ON FUNCTION contentq.account_fits(public.accounts, text[]) IS
    'Internal: how many of the given tasks of an account may start under its max_running and its budgets; NULL: all.';
