-- Shares out slots between accounts, so that what runs is as even as can be: max-min fairness, weighted by shares.
-- Called by: choose_fair(). Locks: nothing.
-- For each account: its share, how many of its tasks run, how many more may (NULL: any number), and when the first of those
-- that wait was submitted.
-- Returns: for each account, in the order given, how many of the slots it gets. One after the other, they go to the account
--          whose tasks that run, with the new one and divided by the share, are the fewest; of equals, to the one that has
--          waited longest.
CREATE OR REPLACE FUNCTION contentq.fair_quotas(
    slots integer,
    shares integer[],
    running integer[],
    rooms integer[],
    waiting_since timestamptz[]
)
RETURNS integer[]
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        WITH given AS (
            SELECT u.*,
                   -- With room for all, no slot is at a higher level than this one: the mean of all.
                   (fair_quotas.slots + sum(u.running) OVER ())::float8 / sum(u.share) OVER () AS mean
            FROM unnest(fair_quotas.shares, fair_quotas.running, fair_quotas.rooms, fair_quotas.waiting_since)
                WITH ORDINALITY AS u (share, running, room, waiting_since, place)
        ),
        slots_in_order AS (
            SELECT g.place
            FROM given AS g
            CROSS JOIN LATERAL generate_series(
                1, least(fair_quotas.slots, g.room, greatest(ceil(g.mean * g.share - g.running), 0) + 1)::integer
            ) AS n (number)
            ORDER BY (g.running + n.number)::float8 / g.share, g.waiting_since, g.place
            LIMIT fair_quotas.slots
        )
        SELECT array_agg(coalesce(n.number, 0) ORDER BY g.place)
        FROM given AS g
        LEFT JOIN (
            SELECT s.place, count(*)::integer AS number
            FROM slots_in_order AS s
            GROUP BY s.place
        ) AS n ON n.place = g.place
    );
END;
$$;

COMMENT ON FUNCTION contentq.fair_quotas(integer, integer[], integer[], integer[], timestamptz[]) IS
    'Internal: how many slots each account gets, so that what runs, divided by the shares, is as even as can be.';
