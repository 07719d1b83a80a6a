-- Shares out slots between accounts, so that what runs is in proportion to their shares.
-- Called by: choose_fair(). Locks: nothing.
-- For each account, in the order of their turns: its share, how many of its tasks run, how many more may (NULL: any number),
-- and how many it has started in this turn.
-- Returns: for each account how many of the slots it gets; and which account gets the last one, by its place.
--
-- One after the other, the slots go to the account that has the fewest of its shares running, in whole shares: with share
-- 3, up to 2 running tasks are none, up to 5 are one. Equals take turns, and a turn is as many tasks as the share. So what
-- runs is even where there are slots enough, and where there are fewer than shares, what starts is.
CREATE OR REPLACE FUNCTION contentq.fair_quotas(
    slots integer,
    shares integer[],
    running integer[],
    rooms integer[],
    started integer[],
    OUT quotas integer[],
    OUT last_place integer
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    WITH given AS (
        SELECT u.*,
               -- With room for all, no slot is at a higher level than this one: the mean of all.
               floor((fair_quotas.slots + sum(u.running) OVER ())::float8 / sum(u.share) OVER ()) AS mean
        FROM unnest(fair_quotas.shares, fair_quotas.running, fair_quotas.rooms, fair_quotas.started)
            WITH ORDINALITY AS u (share, running, room, started, place)
    ),
    slots_in_order AS (
        SELECT g.place,
               row_number() OVER (
                   ORDER BY (g.running + n.number - 1) / g.share, (g.started + n.number - 1) / g.share, g.place, n.number
               ) AS turn
        FROM given AS g
        CROSS JOIN LATERAL generate_series(
            1, least(fair_quotas.slots, g.room, (g.mean + 1) * g.share - g.running)::integer
        ) AS n (number)
        ORDER BY turn
        LIMIT fair_quotas.slots
    )
    SELECT array_agg(coalesce(n.number, 0) ORDER BY g.place),
           (array_agg(g.place ORDER BY n.last_turn DESC NULLS LAST))[1]
    INTO quotas, last_place
    FROM given AS g
    LEFT JOIN (
        SELECT s.place, count(*)::integer AS number, max(s.turn) AS last_turn
        FROM slots_in_order AS s
        GROUP BY s.place
    ) AS n ON n.place = g.place;
END;
$$;

COMMENT ON FUNCTION contentq.fair_quotas(integer, integer[], integer[], integer[], integer[]) IS
    'Internal: how many slots each account gets, so that what runs is in proportion to the shares.';
