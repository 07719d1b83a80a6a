-- 0001, undone: drops the tables that contentq made, with what is in them, and no others.
DO $$
DECLARE
    owned text;
BEGIN
    FOR owned IN
        SELECT table_name
        FROM contentq.owned_tables
        ORDER BY table_name = 'content_generation_tasks' DESC, table_name = 'contents' DESC
    LOOP
        EXECUTE format('DROP TABLE public.%I', owned);
    END LOOP;
END;
$$;

DROP TABLE contentq.owned_tables;
