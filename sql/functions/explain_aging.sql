-- Explains how settings.aging changes the place of a task.
-- Called by: explain_order(). categories, blocked: as in choose_in_order().
-- Locks: nothing. Returns: is_first: whether the task is the first aged one, or there is no aged one; line: the
--                          explanation, NULL if no task has aged.
CREATE OR REPLACE FUNCTION contentq.explain_aging(
    task public.content_generation_tasks,
    categories text[],
    blocked bigint[],
    OUT is_first boolean,
    OUT line text
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    settings contentq.settings;
    aged record;
BEGIN
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;
    SELECT coalesce(sum(least(c.number, c.room)), 0) AS number, coalesce(sum(least(c.ahead, c.room)), 0) AS ahead
    INTO aged
    FROM (
        SELECT n.*,
               CASE WHEN n.place <= 200
                    THEN (SELECT contentq.account_fits(a, n.startable)
                          FROM public.accounts AS a
                          WHERE a.id = n.account_id
                            AND (a.max_running IS NOT NULL OR contentq.has_budgets())) END AS room
        FROM (
            SELECT w.account_id, count(*) AS number,
                   array_agg(left(coalesce(w.category, ''), 200) ORDER BY w.submitted_at, w.id) AS startable,
                   count(*) FILTER (WHERE (w.submitted_at, w.id) < ((task).submitted_at, (task).id)) AS ahead,
                   row_number() OVER (ORDER BY count(*) DESC, w.account_id) AS place
            FROM contentq.aged_tasks(
                clock_timestamp() - settings.aging, explain_aging.categories, explain_aging.blocked, settings.deadlines, 1000) AS w
            WHERE w.may_start
            GROUP BY w.account_id
        ) AS n
    ) AS c;

    IF (task).submitted_at < clock_timestamp() - settings.aging THEN
        is_first := aged.ahead = 0;
        line := format('it has waited longer than settings.aging (%s): every other slot is for such tasks, and %s of them %s '
                       'ahead of it', settings.aging, aged.ahead, CASE aged.ahead WHEN 1 THEN 'is' ELSE 'are' END);
    ELSE
        is_first := aged.number = 0;
        line := CASE WHEN aged.number > 0
                     THEN format('every other slot is for tasks that have waited longer than settings.aging (%s): now %s',
                                 settings.aging, aged.number) END;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.explain_aging(public.content_generation_tasks, text[], bigint[]) IS
    'Internal: how settings.aging changes the place of a task.';
