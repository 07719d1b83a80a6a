-- Limits the number of models for which usage of an account on one day is counted. Every claim beside a budget sums these
-- rows, and handlers name the models.
-- Called by: add_usage(), before it adds rows.
-- Locks: nothing; concurrent reports may exceed the limit a little. Returns: the models, in the same order. A new model of
--        an account that already has 100 models on this day becomes other.
-- account_ids, models: the pairs of a report.
-- The models of an account are counted by one index entry each, whatever number of rows they have.
CREATE OR REPLACE FUNCTION contentq.cap_models(account_ids bigint[], models text[], day date)
RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    most_models constant integer := 100;
    each record;
    known integer;
    last_model text;
    -- Its keys are pairs of account and model, which are found without comparing each.
    refused jsonb := jsonb_build_object();
BEGIN
    FOR each IN
        SELECT n.account_id, array_agg(n.model ORDER BY n.place) AS models
        FROM (
            SELECT c.account_id, c.model, min(c.place) AS place
            FROM unnest(cap_models.account_ids, cap_models.models) WITH ORDINALITY AS c (account_id, model, place)
            WHERE c.model <> 'other'
              AND NOT EXISTS (
                  SELECT
                  FROM contentq.usage AS u
                  WHERE u.account_id = c.account_id
                    AND u.day = cap_models.day
                    AND u.model = c.model
              )
            GROUP BY c.account_id, c.model
        ) AS n
        GROUP BY n.account_id
    LOOP
        known := 0;
        last_model := '';
        WHILE known < most_models LOOP
            last_model := (
                SELECT u.model
                FROM contentq.usage AS u
                WHERE u.account_id = each.account_id
                  AND u.day = cap_models.day
                  AND u.model > last_model
                ORDER BY u.account_id, u.day, u.model
                LIMIT 1
            );
            EXIT WHEN last_model IS NULL;
            known := known + (last_model <> 'other')::integer;
        END LOOP;
        IF cardinality(each.models) > most_models - known THEN
            refused := refused || (
                SELECT jsonb_object_agg(format('%s %s', each.account_id, m.model), true)
                FROM unnest(each.models[most_models - known + 1:]) AS m (model)
            );
        END IF;
    END LOOP;
    RETURN ARRAY(
        SELECT CASE WHEN refused ? format('%s %s', c.account_id, c.model) THEN 'other' ELSE c.model END
        FROM unnest(cap_models.account_ids, cap_models.models) WITH ORDINALITY AS c (account_id, model, place)
        ORDER BY c.place
    );
END;
$$;

COMMENT ON FUNCTION contentq.cap_models(bigint[], text[], date) IS
    'Internal: the models of a report; a new model of an account with 100 models on this day becomes other.';
