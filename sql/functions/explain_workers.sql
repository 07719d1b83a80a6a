-- Explains why no worker starts a task of a category.
-- Called by: explain_waiting(). Locks: nothing.
-- Returns: lines: one line for each reason, empty if a worker may start one; workers: those that may start one, otherwise
--          those that claim the category; slots, busy: the slots of all workers that claim it, and how many are in use;
--          pace: tasks a second that their gates allow (NULL: no limit).
CREATE OR REPLACE FUNCTION contentq.explain_workers(
    category text,
    OUT lines text[],
    OUT workers contentq.workers[],
    OUT slots bigint,
    OUT busy bigint,
    OUT pace float8
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    fleet record;
    able contentq.workers[];
    busy_able bigint;
BEGIN
    SELECT array_agg(f.worker ORDER BY f.place) AS workers,
           array_agg(f.busy ORDER BY f.place) AS busy,
           array_agg(f.why ORDER BY f.place) AS why,
           count(*) AS live,
           count(*) FILTER (WHERE f.suits) AS suiting,
           count(*) FILTER (WHERE f.suits AND f.place <= 50) AS looked_at
    INTO fleet
    FROM contentq.explain_fleet(explain_workers.category) AS f;
    lines := '{}';
    slots := 0;
    busy := 0;
    workers := fleet.workers[:fleet.looked_at];
    IF fleet.live = 0 THEN
        lines := ARRAY['there is no live worker: start one with contentq worker'];
    ELSIF fleet.suiting = 0 THEN
        lines := ARRAY[format(
            'no live worker claims %s: the live workers (%s) claim %s',
            coalesce('category ' || quote_literal(explain_workers.category), 'tasks without a category'), fleet.live,
            coalesce((SELECT string_agg(c.category, ', ' ORDER BY c.category)
                      FROM (
                          SELECT DISTINCT quote_literal(u.category) AS category
                          FROM unnest(fleet.workers) AS w
                          CROSS JOIN unnest(w.categories) AS u (category)
                          ORDER BY 1
                          LIMIT 10
                      ) AS c), 'none'))];
    END IF;
    IF fleet.suiting = 0 THEN
        lines := lines || ARRAY(SELECT 'every worker waits: ' || g.why FROM contentq.gate_wait('*') AS g);
        RETURN;
    END IF;

    SELECT sum((fleet.workers[i.place]).slots), sum(fleet.busy[i.place])
    INTO slots, busy
    FROM generate_series(1, fleet.suiting) AS i (place);
    -- If one of them has no gate, only the gate of all workers limits the pace.
    SELECT least((SELECT contentq.gate_pace(g) FROM contentq.gates AS g WHERE g.key = '*'),
                 CASE WHEN bool_and(p.pace IS NOT NULL) THEN sum(p.pace) END)
    INTO pace
    FROM (
        SELECT DISTINCT u.gate
        FROM generate_series(1, fleet.suiting) AS i (place)
        CROSS JOIN LATERAL unnest(coalesce((fleet.workers[i.place]).gates, ARRAY[(fleet.workers[i.place]).gate])) AS u (gate)
    ) AS k
    LEFT JOIN LATERAL (SELECT contentq.gate_pace(g) AS pace FROM contentq.gates AS g WHERE g.key = k.gate) AS p ON true;

    SELECT array_agg(fleet.workers[i.place] ORDER BY i.place)
               FILTER (WHERE fleet.why[i.place] IS NULL AND fleet.busy[i.place] < (fleet.workers[i.place]).slots),
           count(*) FILTER (WHERE fleet.why[i.place] IS NULL)
    INTO able, busy_able
    FROM generate_series(1, fleet.looked_at) AS i (place);
    IF cardinality(able) > 0 THEN
        workers := able;
        RETURN;
    END IF;
    -- Each reason once, with the workers that wait for it.
    lines := ARRAY(
        SELECT format('%s: %s%s',
                      CASE WHEN r.number = 1 THEN format('worker %s waits', r.ids[1])
                           WHEN r.number = fleet.live THEN format('all live workers (%s) wait', r.number)
                           WHEN r.number = 2 THEN format('workers %s and %s wait', r.ids[1], r.ids[2])
                           ELSE format('%s workers wait (%s, ...)', r.number, array_to_string(r.ids[:3], ', ')) END,
                      r.why,
                      CASE WHEN r.why LIKE 'it keeps failing%' THEN '; see its log and contentq.recent_failures'
                           ELSE '' END)
        FROM (
            SELECT fleet.why[i.place] AS why, count(*) AS number,
                   array_agg((fleet.workers[i.place]).id ORDER BY i.place) AS ids, min(i.place) AS place
            FROM generate_series(1, fleet.looked_at) AS i (place)
            WHERE fleet.why[i.place] IS NOT NULL
            GROUP BY fleet.why[i.place]
        ) AS r
        ORDER BY r.place
        LIMIT 5
    );
    IF busy_able > 0 THEN
        lines := lines || format(
            '%s full: %s of %s slots are in use; start more workers, or raise --concurrency',
            CASE WHEN busy_able = fleet.live THEN format('all live workers (%s) are', busy_able)
                 WHEN busy_able = fleet.suiting THEN format('all live workers that claim it (%s) are', busy_able)
                 WHEN busy_able = 1 THEN '1 worker is'
                 ELSE format('%s workers are', busy_able) END,
            busy, slots);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.explain_workers(text) IS
    'Internal: why no worker starts a task of a category, one line for each reason.';
