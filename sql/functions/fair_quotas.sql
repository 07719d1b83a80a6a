-- Shares out slots between accounts so that running tasks are in proportion to their shares.
-- Called by: choose_fair(). Locks: nothing.
-- shares, running, rooms, started: for each account, in order of turns: its share, its running tasks, how many more may
-- start (NULL: any number), and how many it has started in this turn.
-- Returns: quotas: the slots of each account; last_place: the place of the account that gets the last slot.
--
-- Slot by slot, the account with the fewest whole shares running is next: with share 3, up to 2 running tasks count as zero
-- shares and up to 5 as one. Accounts with equal counts take turns; a turn is as many tasks as the share. So running tasks
-- are in proportion if there are enough slots; if there are fewer slots than shares, started tasks are.
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
               -- If every account had room, no slot would lie above this level: the mean of all accounts.
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
    'Internal: the slots of each account, so that running tasks are in proportion to the shares.';
