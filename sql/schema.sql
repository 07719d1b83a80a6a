-- What a migrated database looks like: pg_dump --schema-only of it, made by
-- python -m tests.support.schema_snapshot. A test compares it, and contentq doctor; nothing runs it.

-- Name: contentq; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA contentq;

-- Name: SCHEMA contentq; Type: COMMENT; Schema: -; Owner: -

COMMENT ON SCHEMA contentq IS 'The machinery of the queue.';

-- Name: accounts; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.accounts (
    id integer NOT NULL,
    name character varying(200) NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    external_id text,
    paused_until timestamp with time zone,
    monthly_budget numeric,
    share integer DEFAULT 1 NOT NULL,
    max_running integer,
    CONSTRAINT accounts_max_running_check CHECK ((max_running >= 0)),
    CONSTRAINT accounts_monthly_budget_check CHECK (((monthly_budget >= (0)::numeric) AND (monthly_budget <> 'NaN'::numeric))),
    CONSTRAINT accounts_share_check CHECK (((share >= 1) AND (share <= 1000000)))
);

-- Name: TABLE accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.accounts IS 'The accounts for which content is generated.';

-- Name: COLUMN accounts.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.id IS 'Identifier; tasks and contents refer to it.';

-- Name: COLUMN accounts.name; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.name IS 'Display name, up to 200 characters.';

-- Name: COLUMN accounts.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.created_at IS 'When the account was added.';

-- Name: COLUMN accounts.external_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.external_id IS 'Identifier of the account in another system, such as its UUID; unique if set.';

-- Name: COLUMN accounts.paused_until; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.paused_until IS 'No task of the account is claimed before this time; infinity: until it is set to NULL. NULL: not paused.';

-- Name: COLUMN accounts.monthly_budget; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.monthly_budget IS 'Maximum cost of attempts in a month (UTC); NULL: no limit. Other budgets are in contentq.budgets.';

-- Name: COLUMN accounts.share; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.share IS 'Weight in fair order (settings.claim_order): an account with share 3 runs three times as many tasks as one with 1.';

-- Name: COLUMN accounts.max_running; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.max_running IS 'Maximum number of tasks of the account that run at once, in any claim order; NULL: no limit.';

-- Name: account_fits(public.accounts, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.account_fits(account public.accounts, categories text[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

-- Name: FUNCTION account_fits(account public.accounts, categories text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.account_fits(account public.accounts, categories text[]) IS 'Internal: how many of the given tasks of an account may start under its max_running and its budgets; NULL: all.';

-- Name: account_room(public.accounts, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.account_room(account public.accounts, starting integer DEFAULT 0) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT CASE
            WHEN account.max_running IS NOT NULL
            THEN greatest(account.max_running - account_room.starting - (
                SELECT count(*)
                FROM (
                    SELECT
                    FROM public.content_generation_tasks AS t
                    WHERE t.status COLLATE "C" = 'processing'
                      AND t.account_id = account.id
                    -- Only one index has this order.
                    ORDER BY t.account_id, t.started_at
                    OFFSET 0
                ) AS r
            ), 0)::integer
        END
    );
END;
$$;

-- Name: FUNCTION account_room(account public.accounts, starting integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.account_room(account public.accounts, starting integer) IS 'Internal: how many more tasks of an account may start under its max_running; NULL: any number.';

-- Name: add_error(jsonb, integer, bigint, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.add_error(attempt_errors jsonb, attempt integer, worker_id bigint, error_class text, message text) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN jsonb_array_length(add_error.attempt_errors) >= 20
                THEN add_error.attempt_errors - 0 ELSE add_error.attempt_errors END
        || jsonb_build_object(
            'attempt', add_error.attempt,
            'at', clock_timestamp(),
            'worker_id', add_error.worker_id,
            'error_class', contentq.shorten(add_error.error_class, 200),
            'message', contentq.shorten(add_error.message, 1000)
        );
$$;

-- Name: FUNCTION add_error(attempt_errors jsonb, attempt integer, worker_id bigint, error_class text, message text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.add_error(attempt_errors jsonb, attempt integer, worker_id bigint, error_class text, message text) IS 'Internal: the attempt_errors of a task with one more failure; it keeps the last 20.';

-- Name: add_gate(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.add_gate(key text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5ms'
    AS $$
BEGIN
    INSERT INTO contentq.gates (key) VALUES (add_gate.key) ON CONFLICT DO NOTHING;
EXCEPTION
    WHEN lock_not_available THEN
        NULL;
END;
$$;

-- Name: FUNCTION add_gate(key text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.add_gate(key text) IS 'Internal: adds the row of a gate, unless another session is adding it.';

-- Name: add_usage(bigint[], text[], bigint[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.add_usage(ids bigint[], usages text[], account_ids bigint[] DEFAULT NULL::bigint[], categories text[] DEFAULT NULL::text[]) RETURNS numeric
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    today constant date := (now_ AT TIME ZONE 'UTC')::date;
    is_counted constant boolean := contentq.has_budgets();
    all_accounts bigint[];
    all_models text[];
    all_categories text[];
    all_attempts bigint[];
    all_prompt_tokens bigint[];
    all_completion_tokens bigint[];
    all_costs numeric[];
    all_largest numeric[];
    -- The rows of usage to add to; NULL for a new one.
    all_rows bigint[];
    capped_models text[];
    is_capped boolean := false;
BEGIN
    SELECT array_agg(c.account_id), array_agg(c.model), array_agg(c.category), array_agg(c.attempts),
           array_agg(c.prompt_tokens), array_agg(c.completion_tokens), array_agg(c.cost), array_agg(c.largest)
    INTO all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs,
         all_largest
    FROM (
        SELECT s.account_id,
               s.model,
               s.category,
               count(*) AS attempts,
               sum(s.prompt_tokens) AS prompt_tokens,
               sum(s.completion_tokens) AS completion_tokens,
               sum(s.cost) AS cost,
               max(s.cost) AS largest
        FROM (
            SELECT coalesce(t.account_id, r.account_id) AS account_id,
                   left(coalesce(t.category, r.category, ''), 200) AS category,
                   is_counted AND t.status = 'completed' AND EXISTS (
                       SELECT FROM contentq.budgets_of(t.account_id, left(coalesce(t.category, ''), 200))
                   ) AS is_counted,
                   coalesce(nullif(left(r.usage->>'model', 200), ''), 'unknown') AS model,
                   trunc(contentq.usage_amount(r.usage->'prompt_tokens')) AS prompt_tokens,
                   trunc(contentq.usage_amount(r.usage->'completion_tokens')) AS completion_tokens,
                   contentq.usage_amount(r.usage->'cost') AS cost
            FROM (
                SELECT n.id, coalesce(n.usage::jsonb, '{}') AS usage, n.account_id, n.category
                FROM unnest(add_usage.ids, add_usage.usages, add_usage.account_ids, add_usage.categories)
                    AS n (id, usage, account_id, category)
                WHERE n.usage IS NOT NULL
                   OR is_counted
            ) AS r
            LEFT JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
            WHERE jsonb_typeof(r.usage) = 'object'
               OR is_counted
        ) AS s
        WHERE s.account_id IS NOT NULL
          AND (s.prompt_tokens > 0 OR s.completion_tokens > 0 OR s.cost > 0 OR s.is_counted)
        GROUP BY s.account_id, s.model, s.category
    ) AS c;
    IF all_accounts IS NULL THEN
        RETURN 0;
    END IF;

    LOOP
        SELECT array_agg(f.id ORDER BY f.place)
        INTO all_rows
        FROM (
            SELECT c.place, (
                SELECT u.id
                FROM contentq.usage AS u
                WHERE u.account_id = c.account_id
                  AND u.day = today
                  AND u.model = c.model
                  AND u.category = c.category
                LIMIT 1
                FOR NO KEY UPDATE SKIP LOCKED
            ) AS id
            FROM unnest(all_accounts, all_models, all_categories) WITH ORDINALITY AS c (account_id, model, category, place)
        ) AS f;
        EXIT WHEN is_capped OR array_position(all_rows, NULL) IS NULL;

        -- New rows.
        is_capped := true;
        capped_models := contentq.cap_models(all_accounts, all_models, today);
        EXIT WHEN capped_models = all_models;
        SELECT array_agg(c.account_id), array_agg(c.model), array_agg(c.category), array_agg(c.attempts),
               array_agg(c.prompt_tokens), array_agg(c.completion_tokens), array_agg(c.cost), array_agg(c.largest)
        INTO all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs,
             all_largest
        FROM (
            SELECT n.account_id,
                   n.model,
                   n.category,
                   sum(n.attempts)::bigint AS attempts,
                   sum(n.prompt_tokens) AS prompt_tokens,
                   sum(n.completion_tokens) AS completion_tokens,
                   sum(n.cost) AS cost,
                   max(n.largest) AS largest
            FROM unnest(all_accounts, capped_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens,
                        all_costs, all_largest)
                AS n (account_id, model, category, attempts, prompt_tokens, completion_tokens, cost, largest)
            GROUP BY n.account_id, n.model, n.category
        ) AS c;
    END LOOP;

    UPDATE contentq.usage AS u
    SET attempts = u.attempts + c.attempts,
        prompt_tokens = u.prompt_tokens + c.prompt_tokens,
        completion_tokens = u.completion_tokens + c.completion_tokens,
        cost = u.cost + c.cost,
        largest_cost = greatest(u.largest_cost, c.largest)
    FROM unnest(all_rows, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs, all_largest)
        AS c (id, attempts, prompt_tokens, completion_tokens, cost, largest)
    WHERE u.id = c.id;

    INSERT INTO contentq.usage (account_id, day, model, category, attempts, prompt_tokens, completion_tokens, cost, largest_cost)
    SELECT c.account_id, today, c.model, c.category, c.attempts, c.prompt_tokens, c.completion_tokens, c.cost, c.largest
    FROM unnest(all_rows, all_accounts, all_models, all_categories, all_attempts, all_prompt_tokens, all_completion_tokens,
                all_costs, all_largest)
        AS c (id, account_id, model, category, attempts, prompt_tokens, completion_tokens, cost, largest)
    WHERE c.id IS NULL;
    RETURN (SELECT sum(n.tokens) FROM unnest(all_prompt_tokens || all_completion_tokens) AS n (tokens));
END;
$$;

-- Name: FUNCTION add_usage(ids bigint[], usages text[], account_ids bigint[], categories text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.add_usage(ids bigint[], usages text[], account_ids bigint[], categories text[]) IS 'Internal: adds the cost of attempts at these tasks to the usage of their accounts; returns their tokens.';

-- Name: admit(bigint[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.admit(ids bigint[], starting bigint[], OUT admitted bigint[], OUT blocked bigint[], OUT over_budget bigint[], OUT blocked_categories text[], OUT blocked_keys text[], OUT all_blocked boolean, OUT contended boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    accounts bigint[];
    categories text[];
    starting_accounts bigint[];
    starting_categories text[];
    has_answer boolean[];
    is_refused boolean[] := array_fill(false, ARRAY[cardinality(admit.ids)]);
    each record;
    lock_place integer;
    places bigint[];
    room integer;
    budget record;
    refused text[];
BEGIN
    blocked := '{}';
    over_budget := '{}';
    blocked_categories := '{}';
    blocked_keys := '{}';
    all_blocked := false;
    contended := false;
    -- LIMIT forces one lookup for each id; the planner could reverse a plain join.
    SELECT array_agg(o.account_id ORDER BY u.place), array_agg(o.category ORDER BY u.place),
           array_agg(o.has_answer ORDER BY u.place)
    INTO accounts, categories, has_answer
    FROM unnest(admit.ids) WITH ORDINALITY AS u (id, place)
    CROSS JOIN LATERAL (
        SELECT t.account_id::bigint AS account_id, left(coalesce(t.category, ''), 200) AS category,
               t.handler_state IS NOT NULL AND contentq.has_answer(t.id::bigint, t.status, t.handler_state) AS has_answer
        FROM public.content_generation_tasks AS t
        WHERE t.id = u.id
        LIMIT 1
    ) AS o;
    SELECT coalesce(array_agg(o.account_id), '{}'), coalesce(array_agg(o.category), '{}')
    INTO starting_accounts, starting_categories
    FROM unnest(admit.starting) AS u (id)
    CROSS JOIN LATERAL (
        SELECT t.account_id::bigint AS account_id, left(coalesce(t.category, ''), 200) AS category
        FROM public.content_generation_tasks AS t
        WHERE t.id = u.id
        LIMIT 1
    ) AS o;

    FOR each IN
        WITH mine AS MATERIALIZED (
            SELECT u.account_id, array_agg(u.place ORDER BY u.place) AS places
            FROM unnest(accounts) WITH ORDINALITY AS u (account_id, place)
            GROUP BY u.account_id
        )
        SELECT (a.account).id::bigint AS account_id, NULL AS category, 'month' AS period,
               (a.account).monthly_budget AS amount, a.account, m.places
        FROM mine AS m
        CROSS JOIN LATERAL (SELECT l AS account FROM public.accounts AS l WHERE l.id = m.account_id LIMIT 1) AS a
        WHERE (a.account).max_running IS NOT NULL
           OR (a.account).monthly_budget IS NOT NULL
        UNION ALL
        SELECT b.account_id, b.category, b.period, b.amount, NULL, m.places
        FROM mine AS m
        CROSS JOIN LATERAL (
            SELECT g.*
            FROM contentq.budgets AS g
            WHERE g.account_id = m.account_id
              AND (g.category IS NULL OR g.category = ANY (categories))
            ORDER BY g.account_id
            LIMIT 1000
        ) AS b
        UNION ALL
        SELECT NULL, b.category, b.period, b.amount, NULL, ARRAY(SELECT generate_series(1, cardinality(admit.ids)))
        FROM contentq.budgets AS b
        WHERE b.account_id IS NULL
          AND (b.category IS NULL OR b.category = ANY (categories))
    LOOP
        places := ARRAY(
            SELECT p.place
            FROM unnest(each.places) AS p (place)
            WHERE NOT is_refused[p.place]
              AND coalesce(categories[p.place] = each.category, true)
            ORDER BY p.place
        );
        CONTINUE WHEN cardinality(places) = 0;

        lock_place := coalesce(each.account_id & 63, hashtext(each.category) & 63, 0);
        PERFORM FROM contentq.cap_locks AS l WHERE l.place = lock_place FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            contended := true;
            FOR i IN 1..cardinality(places) LOOP
                is_refused[places[i]] := true;
            END LOOP;
            IF each.account_id IS NULL AND each.category IS NULL THEN
                all_blocked := true;
            ELSIF each.account_id IS NULL THEN
                blocked_categories := blocked_categories || each.category;
            ELSIF each.category IS NULL THEN
                blocked := blocked || each.account_id;
            ELSE
                blocked_keys := blocked_keys || contentq.budget_key(each.account_id, each.category);
            END IF;
            CONTINUE;
        END IF;
        UPDATE contentq.cap_locks AS l SET place = l.place WHERE l.place = lock_place;

        IF (each.account).max_running IS NOT NULL THEN
            room := contentq.account_room(
                each.account, cardinality(array_positions(starting_accounts, each.account_id)));
            IF room < cardinality(places) THEN
                FOR i IN room + 1..cardinality(places) LOOP
                    is_refused[places[i]] := true;
                END LOOP;
                places := places[:room];
                blocked := blocked || each.account_id;
            END IF;
        END IF;

        places := ARRAY(
            SELECT p.place
            FROM unnest(places) WITH ORDINALITY AS p (place, number)
            WHERE NOT has_answer[p.place]
            ORDER BY p.number
        );
        IF each.amount IS NOT NULL AND cardinality(places) > 0 THEN
            SELECT r.*
            INTO budget
            FROM contentq.budget_room(
                each.account_id, each.category, each.period, each.amount,
                ARRAY(SELECT s.category
                      FROM unnest(starting_accounts, starting_categories) AS s (account_id, category)
                      WHERE coalesce(s.account_id = each.account_id, true)
                        AND coalesce(s.category = each.category, true)),
                ARRAY(SELECT categories[p.place] FROM unnest(places) WITH ORDINALITY AS p (place, number) ORDER BY p.number)
            ) AS r;
            refused := '{}';
            FOR i IN 1..cardinality(places) LOOP
                IF NOT budget.fits[i] THEN
                    is_refused[places[i]] := true;
                    refused := refused || categories[places[i]];
                END IF;
            END LOOP;
            CONTINUE WHEN cardinality(refused) = 0;
            IF each.account_id IS NULL AND each.category IS NULL AND budget.is_full THEN
                all_blocked := true;
            ELSIF each.account_id IS NULL THEN
                blocked_categories := blocked_categories || ARRAY(SELECT DISTINCT unnest(refused));
            ELSIF each.category IS NULL AND budget.is_full THEN
                blocked := blocked || each.account_id;
                over_budget := over_budget || each.account_id;
            ELSE
                blocked_keys := blocked_keys
                    || ARRAY(SELECT DISTINCT contentq.budget_key(each.account_id, r.category) FROM unnest(refused) AS r (category));
            END IF;
        END IF;
    END LOOP;

    admitted := ARRAY(
        SELECT u.id
        FROM unnest(admit.ids, is_refused) WITH ORDINALITY AS u (id, is_refused, place)
        WHERE NOT u.is_refused
        ORDER BY u.place
    );
END;
$$;

-- Name: FUNCTION admit(ids bigint[], starting bigint[], OUT admitted bigint[], OUT blocked bigint[], OUT over_budget bigint[], OUT blocked_categories text[], OUT blocked_keys text[], OUT all_blocked boolean, OUT contended boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.admit(ids bigint[], starting bigint[], OUT admitted bigint[], OUT blocked bigint[], OUT over_budget bigint[], OUT blocked_categories text[], OUT blocked_keys text[], OUT all_blocked boolean, OUT contended boolean) IS 'Internal: filters chosen tasks down to those that the caps and budgets of their accounts and categories allow to start.';

-- Name: aged_tasks(timestamp with time zone, text[], bigint[], boolean, integer, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.aged_tasks(submitted_before timestamp with time zone, categories text[], blocked bigint[], by_deadline boolean, number integer, blocked_keys text[] DEFAULT '{}'::text[]) RETURNS TABLE(id bigint, account_id bigint, category text, submitted_at timestamp with time zone, may_start boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.id, w.account_id, w.category::text, w.submitted_at,
           w.account_id <> ALL (aged_tasks.blocked)
           AND (cardinality(aged_tasks.blocked_keys) = 0
                OR contentq.budget_key(w.account_id, w.category) <> ALL (aged_tasks.blocked_keys))
           AND contentq.is_ready('pending', NULL, w.timeout_at, w.attempt)
           AND NOT (aged_tasks.by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
    FROM generate_series(1, 10) AS p (priority)
    CROSS JOIN LATERAL (
        (SELECT t.id::bigint AS id, t.account_id::bigint AS account_id, t.category, t.timeout_at, t.submitted_at, t.attempt
         FROM public.content_generation_tasks AS t
         WHERE aged_tasks.categories IS NULL
           AND t.status = 'pending'
           AND t.scheduled_at IS NULL
           AND t.priority = p.priority
           AND t.submitted_at < aged_tasks.submitted_before
         ORDER BY t.priority DESC, t.submitted_at, t.id
         LIMIT aged_tasks.number)
        UNION ALL
        (SELECT t.id::bigint, t.account_id::bigint, t.category, t.timeout_at, t.submitted_at, t.attempt
         FROM public.content_generation_tasks AS t
         WHERE array_position(aged_tasks.categories, NULL) IS NOT NULL
           AND t.status = 'pending'
           AND t.scheduled_at IS NULL
           AND (10 - t.priority) = 10 - p.priority
           AND t.category IS NULL
           AND t.submitted_at < aged_tasks.submitted_before
         ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
         LIMIT aged_tasks.number)
        UNION ALL
        SELECT s.*
        FROM unnest(aged_tasks.categories) AS c (category)
        CROSS JOIN LATERAL (
            SELECT t.id::bigint AS id, t.account_id::bigint AS account_id, t.category, t.timeout_at, t.submitted_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND t.category = c.category
              AND t.submitted_at < aged_tasks.submitted_before
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT aged_tasks.number
        ) AS s
    ) AS w;
END;
$$;

-- Name: FUNCTION aged_tasks(submitted_before timestamp with time zone, categories text[], blocked bigint[], by_deadline boolean, number integer, blocked_keys text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.aged_tasks(submitted_before timestamp with time zone, categories text[], blocked bigint[], by_deadline boolean, number integer, blocked_keys text[]) IS 'Internal: the first ready tasks of each priority that have waited longer than settings.aging.';

-- Name: ago(timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.ago(at timestamp with time zone) RETURNS text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT format('%s %s%s ago', u.number, u.unit, CASE WHEN u.number <> 1 THEN 's' END)
    FROM (
        SELECT trunc(s.seconds / v.seconds) AS number, v.unit
        FROM (
            SELECT greatest(extract(epoch FROM clock_timestamp()) - extract(epoch FROM ago.at), 0) AS seconds
        ) AS s
        JOIN (VALUES (86400, 'day'), (3600, 'hour'), (60, 'minute'), (1, 'second')) AS v (seconds, unit)
            ON s.seconds >= v.seconds OR v.unit = 'second'
        ORDER BY v.seconds DESC
        LIMIT 1
    ) AS u;
$$;

-- Name: FUNCTION ago(at timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.ago(at timestamp with time zone) IS 'Internal: how long ago something was, as text.';

-- Name: answer_batch(bigint, bigint, integer, bigint[], integer[], integer[], text[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.answer_batch(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[], status_codes integer[], answers text[], usages text[] DEFAULT NULL::text[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    answered bigint[];
BEGIN
    PERFORM contentq.hold_batch(answer_batch.worker_id, answer_batch.batch_id, answer_batch.tending);
    -- Fails here for text that jsonb cannot store, which would otherwise fail each sweep.
    IF EXISTS (
        SELECT
        FROM unnest(answer_batch.usages) AS u (usage)
        WHERE octet_length(u.usage) > 8192
           OR jsonb_typeof(u.usage::jsonb) <> 'object'
    ) THEN
        RAISE EXCEPTION 'a usage must be a JSON object of at most 8192 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WITH new AS (
        UPDATE contentq.batch_requests AS r
        SET answered_at = clock_timestamp(),
            status_code = a.status_code,
            answer = a.answer,
            usage = a.usage
        FROM unnest(answer_batch.ids, answer_batch.attempts, answer_batch.status_codes, answer_batch.answers,
                    answer_batch.usages) AS a (id, attempt, status_code, answer, usage)
        WHERE r.id = a.id
          AND r.attempt = a.attempt
          AND r.batch_id = answer_batch.batch_id
          AND r.answered_at IS NULL
        RETURNING r.id
    )
    SELECT array_agg(n.id)
    INTO answered
    FROM new AS n;
    PERFORM contentq.wake_answered(answered);
    RETURN coalesce(cardinality(answered), 0);
END;
$$;

-- Name: FUNCTION answer_batch(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[], status_codes integer[], answers text[], usages text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.answer_batch(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[], status_codes integer[], answers text[], usages text[]) IS 'Stores answers to requests of a batch that the worker leases, and makes their tasks ready; returns how many were new.';

-- Name: anything_waits(text[], interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.anything_waits(categories text[], idle_for interval) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH used_up AS MATERIALIZED (
        SELECT u.account_id, u.category FROM contentq.used_up_budgets() AS u
    )
    SELECT EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND (t.scheduled_at IS NULL OR t.attempt > 0)
          AND t.account_id <> ALL (ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.paused_until > clock_timestamp()))
          AND (t.handler_state ? 'asked_by_attempt' OR NOT EXISTS (
              SELECT
              FROM used_up AS u
              WHERE (u.account_id IS NULL OR u.account_id = t.account_id)
                AND (u.category IS NULL OR u.category = left(t.category, 200))
          ))
          AND (anything_waits.categories IS NULL OR t.category = ANY (anything_waits.categories))
    ) OR EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
          AND coalesce(w.heartbeat_at < clock_timestamp() - anything_waits.idle_for, true)
    );
$$;

-- Name: FUNCTION anything_waits(categories text[], idle_for interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.anything_waits(categories text[], idle_for interval) IS 'Whether a task is ready, waits for its retry, or is held by a worker without a heartbeat for idle_for. Workers that stop when the queue is empty call it. Tasks scheduled for later or of blocked accounts do not count.';

-- Name: approve(bigint, text, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.approve(content_id bigint, reviewer text DEFAULT SESSION_USER, note text DEFAULT NULL::text, review_status text DEFAULT 'pending'::text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    SELECT m.review_status
    FROM contentq.mark_reviewed(
        approve.content_id, 'approved', approve.reviewer, approve.note, approve.review_status
    ) AS m;
$$;

-- Name: FUNCTION approve(content_id bigint, reviewer text, note text, review_status text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.approve(content_id bigint, reviewer text, note text, review_status text) IS 'Approves content that is pending (or has the given review_status); raises CQ005 if someone else has already decided.';

-- Name: approve_matching(bigint, text, text, timestamp with time zone, timestamp with time zone, text, text, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.approve_matching(account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, reviewer text DEFAULT SESSION_USER, note text DEFAULT NULL::text, after_id bigint DEFAULT 0, max_contents integer DEFAULT 1000) RETURNS TABLE(contents bigint, last_id bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT m.contents, m.last_id
    FROM contentq.mark_matching(
        'approved', approve_matching.account_id, approve_matching.category, approve_matching.batch, approve_matching.since,
        approve_matching.until, approve_matching.reviewer, approve_matching.note, false, approve_matching.after_id,
        approve_matching.max_contents
    ) AS m;
$$;

-- Name: FUNCTION approve_matching(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, after_id bigint, max_contents integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.approve_matching(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, after_id bigint, max_contents integer) IS 'Approves a chunk of the pending content that matches the selectors; returns how many, and the after_id of the next call.';

-- Name: are_tasks_coming(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.are_tasks_coming() RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (
        SELECT
        FROM (SELECT pg_current_snapshot() AS of_now OFFSET 0) AS s
        CROSS JOIN contentq.silent_commits AS c
        WHERE age(c.xmax) <= age(pg_snapshot_xmin(s.of_now)::xid)
          AND pg_xact_status(((pg_snapshot_xmax(s.of_now)::text)::bigint
                              + age(pg_snapshot_xmax(s.of_now)::xid) - age(c.xmax))::text::xid8) = 'in progress'
    );
$$;

-- Name: FUNCTION are_tasks_coming(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.are_tasks_coming() IS 'Internal: whether transactions are about to commit tasks of which no worker may have been notified.';

-- Name: ask_batch(bigint, bigint, integer, text, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.ask_batch(worker_id bigint, id bigint, attempt integer, provider text, model text, body text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    account bigint;
    category text;
BEGIN
    IF NOT contentq.is_own_worker(ask_batch.worker_id) THEN
        RETURN false;
    END IF;
    IF json_typeof(ask_batch.body::json) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the body of a request must be a JSON object, not %',
            coalesce(json_typeof(ask_batch.body::json), 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE public.content_generation_tasks AS t
    SET handler_state = jsonb_build_object('asked_by_attempt', t.attempt),
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = ask_batch.id
      AND t.attempt = ask_batch.attempt
      AND contentq.is_held(t.status, t.worker_id, ask_batch.worker_id)
      AND t.cancel_requested_at IS NULL
      AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
    RETURNING t.account_id, left(coalesce(t.category, ''), 200) INTO account, category;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO contentq.batch_requests (id, attempt, account_id, category, provider, model, body)
    VALUES (ask_batch.id, ask_batch.attempt, account, category, ask_batch.provider, ask_batch.model,
            translate(ask_batch.body, E'\r\n', '  '))
    ON CONFLICT DO NOTHING;  -- a call is repeated if its reply was lost
    RETURN true;
END;
$$;

-- Name: FUNCTION ask_batch(worker_id bigint, id bigint, attempt integer, provider text, model text, body text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.ask_batch(worker_id bigint, id bigint, attempt integer, provider text, model text, body text) IS 'Adds a request of a task that this worker holds to the next batch of a provider; body: the request, a JSON object. Returns whether it counted. Snooze the task afterwards.';

-- Name: at_the_door(text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.at_the_door(gates text[]) RETURNS integer
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT count(*)::integer
    FROM contentq.workers AS w
    CROSS JOIN LATERAL (
        -- A range and an order that only the index on worker_id has; = would allow any index.
        SELECT t.gate, t.started_at
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN w.id AND w.id
          AND t.status = 'processing'
        ORDER BY t.worker_id
        OFFSET 0
    ) AS r
    WHERE w.gates && at_the_door.gates
      AND r.gate IS NULL
      AND r.started_at > clock_timestamp() - interval '1 second';
$$;

-- Name: FUNCTION at_the_door(gates text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.at_the_door(gates text[]) IS 'Internal: how many tasks were just claimed and are about to enter one of these gates.';

-- Name: await_end(text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.await_end(kind text, name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    most_awaited constant integer := 100000;
    seen constant bigint[] := contentq.seen_accounts();
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE await_end.kind = 'task'
          AND t.task_id = await_end.name
          AND (seen IS NULL OR t.account_id + 0 = ANY (seen))
        UNION ALL
        SELECT
        FROM public.content_generation_tasks AS t
        WHERE await_end.kind = 'batch'
          AND t.batch = await_end.name
          AND (seen IS NULL OR t.account_id + 0 = ANY (seen))
    ) THEN
        RETURN true;
    END IF;
    -- A repeated call writes nothing.
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = await_end.kind AND a.name = await_end.name) THEN
        RETURN false;
    END IF;
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN true;
    END IF;
    -- Counts the rows only if there may be so many.
    IF (SELECT max(a.id) FROM contentq.awaited AS a) - (SELECT min(a.id) FROM contentq.awaited AS a) < most_awaited - 1
        IS NOT FALSE
        OR (SELECT count(*) FROM contentq.awaited AS a) < most_awaited
    THEN
        INSERT INTO contentq.awaited (kind, name) VALUES (await_end.kind, await_end.name);
    END IF;
    RETURN true;
END;
$$;

-- Name: FUNCTION await_end(kind text, name text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.await_end(kind text, name text) IS 'Internal: registers that a session waits for the end of a task or a batch; returns whether that is new.';

-- Name: backoff(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.backoff(retry_count integer) RETURNS interval
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT random() * least(s.backoff_max, s.backoff_base * power(2, least(backoff.retry_count, 30)))
    FROM contentq.settings AS s;
$$;

-- Name: FUNCTION backoff(retry_count integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.backoff(retry_count integer) IS 'A random delay before the retry after retry_count earlier ones: up to settings.backoff_base, doubled each time, at most settings.backoff_max.';

-- Name: batch_answer(bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.batch_answer(worker_id bigint, id bigint, attempt integer) RETURNS TABLE(model text, body text, status_code integer, answer text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    asked text;
BEGIN
    IF NOT contentq.is_own_worker(batch_answer.worker_id) THEN
        RETURN;
    END IF;
    SELECT t.handler_state->>'asked_by_attempt'
    INTO asked
    FROM public.content_generation_tasks AS t
    WHERE t.id = batch_answer.id
      AND t.attempt = batch_answer.attempt
      AND contentq.is_held(t.status, t.worker_id, batch_answer.worker_id);
    RETURN QUERY
    UPDATE contentq.batch_requests AS r
    SET is_taken = r.answered_at IS NOT NULL
    WHERE r.id = batch_answer.id
      AND r.attempt::text = asked
    RETURNING r.model, r.body, r.status_code, r.answer;
END;
$$;

-- Name: FUNCTION batch_answer(worker_id bigint, id bigint, attempt integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.batch_answer(worker_id bigint, id bigint, attempt integer) IS 'The answer to the request that an earlier attempt at a task of this worker made with ask_batch(); NULLs while there is none, no row without a request.';

-- Name: batch_lines(bigint, bigint, integer, bigint, integer, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.batch_lines(worker_id bigint, batch_id bigint, tending integer, after_id bigint DEFAULT 0, after_attempt integer DEFAULT 0, max_bytes bigint DEFAULT 4000000) RETURNS TABLE(id bigint, attempt integer, body text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    total bigint := 0;
BEGIN
    PERFORM contentq.hold_batch(batch_lines.worker_id, batch_lines.batch_id, batch_lines.tending);
    FOR id, attempt, body IN
        SELECT r.id, r.attempt, r.body
        FROM contentq.batch_requests AS r
        WHERE r.batch_id = batch_lines.batch_id
          AND (r.id, r.attempt) > (batch_lines.after_id, batch_lines.after_attempt)
          AND r.answered_at IS NULL
          AND EXISTS (SELECT
                      FROM public.content_generation_tasks AS t
                      WHERE t.id = r.id
                        AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt))
        ORDER BY r.id, r.attempt
    LOOP
        total := total + octet_length(body);
        RETURN NEXT;
        EXIT WHEN total >= batch_lines.max_bytes;
    END LOOP;
END;
$$;

-- Name: FUNCTION batch_lines(worker_id bigint, batch_id bigint, tending integer, after_id bigint, after_attempt integer, max_bytes bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.batch_lines(worker_id bigint, batch_id bigint, tending integer, after_id bigint, after_attempt integer, max_bytes bigint) IS 'The requests, after a given one, for which tasks still wait, of a batch that the worker leases.';

-- Name: batch_sizes(bigint, bigint, integer, bigint[], integer[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.batch_sizes(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[]) RETURNS TABLE(id bigint, attempt integer, bytes integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM contentq.hold_batch(batch_sizes.worker_id, batch_sizes.batch_id, batch_sizes.tending);
    RETURN QUERY
    SELECT r.id, r.attempt, octet_length(r.body)
    FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (SELECT a.id, a.attempt FROM unnest(batch_sizes.ids, batch_sizes.attempts) AS a (id, attempt))
      AND r.batch_id = batch_sizes.batch_id;
END;
$$;

-- Name: FUNCTION batch_sizes(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.batch_sizes(worker_id bigint, batch_id bigint, tending integer, ids bigint[], attempts integer[]) IS 'The bytes of these requests of a batch that the worker leases, including those for which no task waits any more.';

-- Name: budget_cost(numeric, numeric); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_cost(cost numeric, budget numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT round(budget_cost.cost, greatest(4, scale(trim_scale(budget_cost.budget)) + 1));
$$;

-- Name: FUNCTION budget_cost(cost numeric, budget numeric); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_cost(cost numeric, budget numeric) IS 'Internal: a cost, rounded for a sentence about a budget.';

-- Name: budget_end(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_end(period text) RETURNS timestamp with time zone
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT (contentq.budget_start(budget_end.period)
            + CASE budget_end.period WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END) AT TIME ZONE 'UTC';
$$;

-- Name: FUNCTION budget_end(period text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_end(period text) IS 'Internal: when the current day or month (UTC) of a budget ends.';

-- Name: budget_holds(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_holds(account_id bigint, category text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM contentq.budgets_of(budget_holds.account_id, budget_holds.category) AS b
        WHERE contentq.budget_spent(b.of_account_id, b.of_category, b.period) >= b.amount
    ) THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM contentq.budget_refusals(budget_holds.account_id, budget_holds.category));
END;
$$;

-- Name: FUNCTION budget_holds(account_id bigint, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_holds(account_id bigint, category text) IS 'Internal: whether a budget allows no further task of an account in a category to start now.';

-- Name: budget_key(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_key(account_id bigint, category text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN ((account_id || ':'::text) || "left"(COALESCE(category, ''::text), 200));

-- Name: FUNCTION budget_key(account_id bigint, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_key(account_id bigint, category text) IS 'Internal: an account and a category as one text key.';

-- Name: budget_refusals(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_refusals(account_id bigint, category text) RETURNS TABLE(of_account_id bigint, of_category text, period text, amount numeric, spent numeric, reserved numeric, running integer, expected numeric)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT b.of_account_id, b.of_category, b.period, b.amount, r.spent, r.reserved, r.running, r.expected
    FROM contentq.budgets_of(budget_refusals.account_id, budget_refusals.category) AS b
    CROSS JOIN LATERAL contentq.budget_room(
        b.of_account_id, b.of_category, b.period, b.amount, '{}',
        CASE WHEN budget_refusals.category IS NOT NULL THEN ARRAY[budget_refusals.category] ELSE '{}' END) AS r
    WHERE CASE WHEN budget_refusals.category IS NOT NULL THEN NOT r.fits[1] ELSE r.is_full END;
$$;

-- Name: FUNCTION budget_refusals(account_id bigint, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_refusals(account_id bigint, category text) IS 'Internal: the budgets that allow no further task of an account in a category to start now.';

-- Name: budget_room(bigint, text, text, numeric, text[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_room(account_id bigint, category text, period text, amount numeric, starting text[] DEFAULT '{}'::text[], wanted text[] DEFAULT '{}'::text[], OUT spent numeric, OUT reserved numeric, OUT running integer, OUT fits boolean[], OUT expected numeric, OUT is_full boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    today constant date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    recent constant date := today - 6;
    began_on constant date := contentq.budget_start(budget_room.period);
    since constant date := least(began_on, recent);
    all_categories text[];
    all_running integer[];
    all_asked bigint[];
    all_attempts bigint[];
    all_costs numeric[];
    highest numeric;
    lowest numeric;
    is_known boolean;
    -- Tasks whose requests are in batches.
    asked bigint;
    place integer;
BEGIN
    WITH of_tasks AS (
        -- Only one index has this order.
        (SELECT t.category
         FROM public.content_generation_tasks AS t
         WHERE budget_room.account_id IS NOT NULL
           AND t.status COLLATE "C" = 'processing'
           AND t.account_id = budget_room.account_id
         ORDER BY t.account_id, t.started_at
         OFFSET 0)
        UNION ALL
        (SELECT t.category
         FROM public.content_generation_tasks AS t
         WHERE budget_room.account_id IS NULL
           AND t.status COLLATE "C" = 'processing'
         ORDER BY t.account_id, t.started_at
         OFFSET 0)
        UNION ALL
        SELECT s.category
        FROM unnest(budget_room.starting) AS s (category)
    ),
    of_usage AS (
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NOT NULL
          AND u.account_id = budget_room.account_id
          AND u.day >= since
          AND (budget_room.category IS NULL OR u.category = budget_room.category)
        UNION ALL
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NULL
          AND budget_room.category IS NOT NULL
          AND u.category = budget_room.category
          AND u.day >= since
        UNION ALL
        SELECT u.category, u.day, u.attempts, u.cost, u.largest_cost
        FROM contentq.usage AS u
        WHERE budget_room.account_id IS NULL
          AND budget_room.category IS NULL
          AND u.day >= since
    ),
    of_batches AS (
        SELECT r.category, count(*) AS asked
        FROM contentq.batch_requests AS r
        WHERE NOT r.is_taken
          AND budget_room.account_id IS NOT NULL
          AND r.account_id = budget_room.account_id
          AND (budget_room.category IS NULL OR r.category = budget_room.category)
        GROUP BY r.category
        UNION ALL
        SELECT r.category, count(*)
        FROM contentq.batch_requests AS r
        WHERE NOT r.is_taken
          AND budget_room.account_id IS NULL
          AND (budget_room.category IS NULL OR r.category = budget_room.category)
        GROUP BY r.category
    ),
    by_category AS (
        SELECT e.category, sum(e.asked) AS asked, sum(e.running) AS running, sum(e.spent) AS spent, sum(e.attempts) AS attempts,
               greatest(sum(e.cost) / nullif(sum(e.attempts), 0), sum(e.cost_today) / nullif(sum(e.attempts_today), 0))
                   AS average,
               max(e.largest) AS largest
        FROM (
            SELECT left(coalesce(t.category, ''), 200) AS category, 0::bigint AS asked, count(*) AS running,
                   0::numeric AS spent,
                   0::numeric AS attempts, 0::numeric AS cost, 0::numeric AS attempts_today, 0::numeric AS cost_today,
                   NULL::numeric AS largest
            FROM of_tasks AS t
            WHERE budget_room.category IS NULL
               OR left(coalesce(t.category, ''), 200) = budget_room.category
            GROUP BY left(coalesce(t.category, ''), 200)
            UNION ALL
            SELECT b.category, b.asked, 0, 0, 0, 0, 0, 0, NULL
            FROM of_batches AS b
            UNION ALL
            SELECT u.category, 0, 0, sum(u.cost) FILTER (WHERE u.day >= began_on),
                   sum(u.attempts) FILTER (WHERE u.day >= recent), sum(u.cost) FILTER (WHERE u.day >= recent),
                   sum(u.attempts) FILTER (WHERE u.day = today), sum(u.cost) FILTER (WHERE u.day = today),
                   max(u.largest_cost) FILTER (WHERE u.day >= recent)
            FROM of_usage AS u
            GROUP BY u.category
        ) AS e
        GROUP BY e.category
    )
    SELECT coalesce(sum(c.spent), 0), coalesce(sum(c.asked), 0), coalesce(sum(c.running), 0), array_agg(c.category),
           array_agg(c.running), array_agg(c.asked), array_agg(c.attempts), array_agg(c.cost), max(c.cost), min(c.cost), coalesce(bool_or(c.cost IS NOT NULL), false),
           coalesce(sum((c.running + c.asked) * c.cost), 0)
    INTO spent, asked, running, all_categories, all_running, all_asked, all_attempts, all_costs,
         highest, lowest, is_known, reserved
    FROM (
        SELECT b.category, b.asked, b.running::integer AS running, coalesce(b.spent, 0) AS spent,
               coalesce(b.attempts, 0)::bigint AS attempts,
               greatest(b.average, least(b.largest, 3 * b.average)) AS cost
        FROM by_category AS b
    ) AS c;
    -- For a category without known costs, reserve the highest cost known for others.
    FOR i IN 1..coalesce(cardinality(all_categories), 0) LOOP
        IF all_costs[i] IS NULL THEN
            reserved := reserved + (all_running[i] + all_asked[i]) * coalesce(highest, 0);
        END IF;
    END LOOP;

    fits := '{}';
    FOR i IN 1..cardinality(wanted) LOOP
        place := array_position(all_categories, wanted[i]);
        IF place IS NULL THEN
            all_categories := all_categories || wanted[i];
            all_running := all_running || 0;
            all_attempts := all_attempts || 0::bigint;
            all_costs := all_costs || NULL::numeric;
            place := cardinality(all_categories);
        END IF;
        expected := all_costs[place];
        fits[i] := spent < amount
            AND (running = 0 AND (asked = 0 OR NOT is_known)
                 OR is_known AND all_running[place] <= all_attempts[place]
                    AND spent + reserved + coalesce(expected, highest) <= amount);
        IF fits[i] THEN
            running := running + 1;
            all_running[place] := all_running[place] + 1;
            reserved := reserved + coalesce(expected, highest, 0);
        END IF;
    END LOOP;
    is_full := spent >= amount OR (running > 0 AND NOT is_known
               OR (running > 0 OR asked > 0) AND spent + reserved + lowest > amount);
    spent := trim_scale(spent);
    reserved := trim_scale(round(reserved, 12));
    expected := trim_scale(round(expected, 12));
END;
$$;

-- Name: FUNCTION budget_room(account_id bigint, category text, period text, amount numeric, starting text[], wanted text[], OUT spent numeric, OUT reserved numeric, OUT running integer, OUT fits boolean[], OUT expected numeric, OUT is_full boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_room(account_id bigint, category text, period text, amount numeric, starting text[], wanted text[], OUT spent numeric, OUT reserved numeric, OUT running integer, OUT fits boolean[], OUT expected numeric, OUT is_full boolean) IS 'Internal: what is left of a budget: the cost so far, what is reserved for running tasks, and which further tasks fit.';

-- Name: budget_spent(bigint, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_spent(account_id bigint, category text DEFAULT NULL::text, period text DEFAULT 'month'::text) RETURNS numeric
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    began_on constant date := contentq.budget_start(budget_spent.period);
BEGIN
    IF budget_spent.account_id IS NOT NULL THEN
        RETURN (
            SELECT coalesce(sum(u.cost), 0)
            FROM contentq.usage AS u
            WHERE u.account_id = budget_spent.account_id
              AND u.day >= began_on
              AND (budget_spent.category IS NULL OR u.category = budget_spent.category)
        );
    ELSIF budget_spent.category IS NOT NULL THEN
        RETURN (
            SELECT coalesce(sum(u.cost), 0)
            FROM contentq.usage AS u
            WHERE u.category = budget_spent.category
              AND u.day >= began_on
        );
    END IF;
    RETURN (
        SELECT coalesce(sum(u.cost), 0)
        FROM contentq.usage AS u
        WHERE u.day >= began_on
    );
END;
$$;

-- Name: FUNCTION budget_spent(account_id bigint, category text, period text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_spent(account_id bigint, category text, period text) IS 'Cost of attempts in the current month or day (UTC), for an account, a category, both, or all (NULL).';

-- Name: budget_start(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budget_start(period text) RETURNS date
    LANGUAGE sql
    RETURN (date_trunc(period, (clock_timestamp() AT TIME ZONE 'UTC'::text)))::date;

-- Name: FUNCTION budget_start(period text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budget_start(period text) IS 'Internal: the first day (UTC) of the current day or month of a budget.';

-- Name: budgets_of(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.budgets_of(account_id bigint, category text) RETURNS TABLE(of_account_id bigint, of_category text, period text, amount numeric)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT a.id::bigint, NULL::text, 'month', a.monthly_budget
    FROM public.accounts AS a
    WHERE a.id = budgets_of.account_id
      AND a.monthly_budget IS NOT NULL
    UNION ALL
    SELECT b.account_id, b.category, b.period, b.amount
    FROM contentq.budgets AS b
    WHERE b.account_id = budgets_of.account_id
      AND (b.category IS NULL OR b.category = budgets_of.category)
    UNION ALL
    SELECT b.account_id, b.category, b.period, b.amount
    FROM contentq.budgets AS b
    WHERE b.account_id IS NULL
      AND (b.category IS NULL OR b.category = budgets_of.category);
$$;

-- Name: FUNCTION budgets_of(account_id bigint, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.budgets_of(account_id bigint, category text) IS 'Internal: the budgets against which tasks of an account in a category count.';

-- Name: cancel(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cancel(task_id text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    SELECT c.status
    FROM public.content_generation_tasks AS t
    CROSS JOIN LATERAL contentq.cancel_tasks(ARRAY[t.id]::bigint[]) AS c (status)
    WHERE t.task_id = cancel.task_id;
$$;

-- Name: FUNCTION cancel(task_id text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cancel(task_id text) IS 'Cancels a task: a waiting task fails at once (Task cancelled); a running task is stopped by its worker. Returns the new status; NULL if the task does not exist or has ended.';

-- Name: cancel_matching(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cancel_matching(status text DEFAULT NULL::text, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, worker_id bigint DEFAULT NULL::bigint, after_id bigint DEFAULT NULL::bigint, max_tasks integer DEFAULT 1000) RETURNS TABLE(tasks bigint, last_id bigint, locked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    chosen record;
    changed bigint := 0;
BEGIN
    SELECT c.*
    INTO chosen
    FROM contentq.choose_matching(
        'cancel', cancel_matching.status, cancel_matching.account_id, cancel_matching.category, cancel_matching.batch,
        cancel_matching.since, cancel_matching.until, cancel_matching.error, cancel_matching.worker_id,
        cancel_matching.after_id, cancel_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        changed := (SELECT count(*) FROM contentq.cancel_tasks(chosen.ids));
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

-- Name: FUNCTION cancel_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cancel_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer) IS 'Cancels up to max_tasks tasks above after_id that match all selectors, as cancel() does. Returns how many, the after_id of the next call (NULL at the end), and how many were locked. The selectors are those of matching_tasks().';

-- Name: cancel_tasks(bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cancel_tasks(ids bigint[]) RETURNS SETOF text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'failed' ELSE t.status END,
        error_message = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'Task cancelled'
                             ELSE t.error_message END,
        cancel_requested_at = coalesce(t.cancel_requested_at, clock_timestamp()),
        scheduled_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = ANY (cancel_tasks.ids)
      -- IS TRUE: no plan uses status_idx, as a plan made while the table was empty would.
      AND (t.status IN ('pending', 'processing')) IS TRUE
    RETURNING t.status;
$$;

-- Name: FUNCTION cancel_tasks(ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cancel_tasks(ids bigint[]) IS 'Internal: cancels tasks that have not ended; returns the new status of each.';

-- Name: cap_models(bigint[], text[], date); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cap_models(account_ids bigint[], models text[], day date) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
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

-- Name: FUNCTION cap_models(account_ids bigint[], models text[], day date); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cap_models(account_ids bigint[], models text[], day date) IS 'Internal: the models of a report; a new model of an account with 100 models on this day becomes other.';

-- Name: choose_aged(integer, timestamp with time zone, text[], bigint[], bigint[], boolean, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_aged(max_tasks integer, submitted_before timestamp with time zone, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    chosen bigint[] := '{}'::bigint[];
    size integer := least(1000, greatest(50, 2 * choose_aged.max_tasks));
    seen record;
BEGIN
    WHILE cardinality(chosen) < choose_aged.max_tasks LOOP
        SELECT count(*) AS read,
               array_agg(a.id ORDER BY a.submitted_at, a.id) FILTER (
                   WHERE a.may_start
                     AND a.id <> ALL (choose_aged.taken || chosen)
               ) AS free
        INTO seen
        FROM contentq.aged_tasks(
            choose_aged.submitted_before, choose_aged.categories, choose_aged.blocked, choose_aged.by_deadline, size,
            choose_aged.blocked_keys) AS a;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_aged.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size OR size = 1000;
        size := 1000;
    END LOOP;
    RETURN chosen;
END;
$$;

-- Name: FUNCTION choose_aged(max_tasks integer, submitted_before timestamp with time zone, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_aged(max_tasks integer, submitted_before timestamp with time zone, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[]) IS 'Internal: chooses and locks ready tasks that have waited longer than settings.aging; returns their ids.';

-- Name: choose_answered(integer, text[], bigint[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_answered(max_tasks integer, categories text[], blocked bigint[], taken bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN ARRAY(
        SELECT t.id::bigint
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.answered_at IS NOT NULL
          AND r.account_id <> ALL (choose_answered.blocked)
          AND contentq.is_ready(t.status, t.scheduled_at, t.timeout_at, t.attempt)
          AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt)
          AND contentq.is_of(t.category, choose_answered.categories)
          AND t.id <> ALL (choose_answered.taken)
        ORDER BY r.answered_at
        LIMIT choose_answered.max_tasks
        FOR UPDATE OF t SKIP LOCKED
    );
END;
$$;

-- Name: FUNCTION choose_answered(max_tasks integer, categories text[], blocked bigint[], taken bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_answered(max_tasks integer, categories text[], blocked bigint[], taken bigint[]) IS 'Internal: chooses and locks tasks whose batch answer is ready to be collected; returns their ids.';

-- Name: choose_by_account(integer, integer, bigint[], bigint[], integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_by_account(urgency integer, max_tasks integer, blocked bigint[], taken bigint[], most integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    needed constant integer := choose_by_account.max_tasks + cardinality(choose_by_account.taken);
    number integer;
    -- Accounts of which more tasks must be read.
    deep bigint[];
    depth integer;
    account_ids bigint[];
    times timestamptz[];
    ids bigint[];
    latest record;
BEGIN
    SELECT count(*),
           (array_agg(a.account_id ORDER BY a.first_submitted_at, a.first_id) FILTER (WHERE NOT a.is_blocked))[:needed]
    INTO number, deep
    FROM contentq.ready_accounts(
        choose_by_account.urgency, -9223372036854775808, choose_by_account.most, choose_by_account.blocked,
        choose_by_account.most) AS a;
    IF number >= choose_by_account.most THEN
        RETURN NULL;
    END IF;

    depth := least(2 * needed / greatest(cardinality(deep), 1) + 1, needed);
    WHILE cardinality(deep) > 0 LOOP
        SELECT array_agg(s.account_id), array_agg(s.submitted_at), array_agg(s.id)
        INTO account_ids, times, ids
        FROM (
            SELECT f.*
            FROM unnest(account_ids, times, ids) AS f (account_id, submitted_at, id)
            WHERE f.account_id NOT IN (SELECT unnest(deep))
            UNION ALL
            SELECT o.account_id, n.submitted_at, n.id
            FROM unnest(deep) AS o (account_id)
            CROSS JOIN LATERAL (
                SELECT t.submitted_at, t.id::bigint AS id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND (10 - t.priority) = 10 - choose_by_account.urgency
                  AND t.account_id = o.account_id
                ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                LIMIT depth
            ) AS n
        ) AS s;
        EXIT WHEN depth >= needed;
        SELECT f.submitted_at, f.id
        INTO latest
        FROM unnest(times, ids) AS f (submitted_at, id)
        ORDER BY f.submitted_at, f.id
        LIMIT 1
        OFFSET needed - 1;
        deep := ARRAY(
            SELECT f.account_id
            FROM unnest(account_ids, times, ids) AS f (account_id, submitted_at, id)
            WHERE f.account_id IN (SELECT unnest(deep))
            GROUP BY f.account_id
            HAVING count(*) = depth
               AND coalesce(bool_and((f.submitted_at, f.id) < (latest.submitted_at, latest.id)), true)
        );
        depth := least(2 * depth, needed);
    END LOOP;
    RETURN contentq.lock_in_order(ARRAY(
        SELECT f.id
        FROM unnest(times, ids) AS f (submitted_at, id)
        WHERE f.id NOT IN (SELECT unnest(choose_by_account.taken))
        ORDER BY f.submitted_at, f.id
    ), choose_by_account.max_tasks);
END;
$$;

-- Name: FUNCTION choose_by_account(urgency integer, max_tasks integer, blocked bigint[], taken bigint[], most integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_by_account(urgency integer, max_tasks integer, blocked bigint[], taken bigint[], most integer) IS 'Internal: as choose_in_order(), by looking up the first tasks of every account that is not blocked.';

-- Name: settings; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.settings (
    only_row boolean DEFAULT true NOT NULL,
    backoff_base interval DEFAULT '00:00:02'::interval NOT NULL,
    backoff_max interval DEFAULT '00:10:00'::interval NOT NULL,
    heartbeat_timeout interval DEFAULT '00:00:10'::interval NOT NULL,
    retention interval DEFAULT '30 days'::interval,
    failed_retention interval,
    notify_reviewers boolean DEFAULT false NOT NULL,
    max_text_bytes integer DEFAULT 1000000 NOT NULL,
    max_workers_per_login integer DEFAULT 2000 NOT NULL,
    claim_order text DEFAULT 'strict'::text NOT NULL,
    aging interval,
    deadlines boolean DEFAULT false NOT NULL,
    budget_warning numeric DEFAULT 0.8,
    CONSTRAINT settings_aging_check CHECK (((aging > '00:00:00'::interval) AND (aging <= '1000 years'::interval))),
    CONSTRAINT settings_backoff_base_check CHECK ((backoff_base > '00:00:00'::interval)),
    CONSTRAINT settings_backoff_max_check CHECK (((backoff_max >= backoff_base) AND (backoff_max <= '10 years'::interval))),
    CONSTRAINT settings_budget_warning_check CHECK (((budget_warning > (0)::numeric) AND (budget_warning <= (1)::numeric))),
    CONSTRAINT settings_claim_order_check CHECK ((claim_order = ANY (ARRAY['strict'::text, 'fair'::text]))),
    CONSTRAINT settings_failed_retention_check CHECK (((failed_retention > '00:00:00'::interval) AND (failed_retention <= '1000 years'::interval))),
    CONSTRAINT settings_heartbeat_timeout_check CHECK (((heartbeat_timeout >= '00:00:05'::interval) AND (heartbeat_timeout <= '1 day'::interval))),
    CONSTRAINT settings_max_text_bytes_check CHECK ((max_text_bytes >= 100000)),
    CONSTRAINT settings_max_workers_per_login_check CHECK ((max_workers_per_login >= 1)),
    CONSTRAINT settings_only_row_check CHECK (only_row),
    CONSTRAINT settings_retention_check CHECK (((retention > '00:00:00'::interval) AND (retention <= '1000 years'::interval)))
);

-- Name: TABLE settings; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.settings IS 'The settings of the queue: one row. An UPDATE takes effect at once.';

-- Name: COLUMN settings.only_row; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.only_row IS 'Always true; limits the table to one row.';

-- Name: COLUMN settings.backoff_base; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.backoff_base IS 'Maximum delay before the first retry; doubled for each further one.';

-- Name: COLUMN settings.backoff_max; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.backoff_max IS 'Maximum delay before any retry.';

-- Name: COLUMN settings.heartbeat_timeout; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.heartbeat_timeout IS 'Time without a heartbeat after which the tasks of a worker are rescued; at least 5 seconds, because workers send a heartbeat every 2.';

-- Name: COLUMN settings.retention; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.retention IS 'Age at which workers delete completed tasks (their content stays); NULL: never.';

-- Name: COLUMN settings.failed_retention; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.failed_retention IS 'Age at which maintain() deletes failed and timed-out tasks; NULL: never.';

-- Name: COLUMN settings.notify_reviewers; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.notify_reviewers IS 'Whether sessions that LISTEN on contentq_review are notified of content that waits for review.';

-- Name: COLUMN settings.max_text_bytes; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.max_text_bytes IS 'Maximum size in bytes (UTF-8) of each text of a task, such as requirements; at least 100000.';

-- Name: COLUMN settings.max_workers_per_login; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.max_workers_per_login IS 'Maximum number of workers that one login may have registered; register_worker() refuses more.';

-- Name: COLUMN settings.claim_order; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.claim_order IS 'Order inside a priority: strict (by submitted_at), or fair (running tasks are shared out between accounts by share).';

-- Name: COLUMN settings.aging; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.aging IS 'Tasks that were submitted longer ago get every other slot, whatever their priority; NULL: off.';

-- Name: COLUMN settings.deadlines; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.deadlines IS 'Whether, inside a priority, tasks with a deadline start first, the earliest first, and tasks that cannot finish in time end with status timeout.';

-- Name: COLUMN settings.budget_warning; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.budget_warning IS 'Share of a budget from which it is near its end, which channel contentq_budgets announces; NULL: never.';

-- Name: choose_by_priority(integer, text[], bigint[], bigint[], contentq.settings, jsonb, text[], jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_by_priority(max_tasks integer, categories text[], blocked bigint[], taken bigint[], settings contentq.settings, heads jsonb, blocked_keys text[], INOUT turns jsonb, OUT places jsonb, OUT chosen bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    urgency integer := 11;
    above integer;
    fair record;
BEGIN
    chosen := '{}'::bigint[];
    places := coalesce(heads - 'since', '{}');
    IF settings.aging IS NOT NULL THEN
        -- Aged tasks get every other slot, so urgent tasks still start when many have aged.
        chosen := contentq.choose_aged(
            CASE WHEN max_tasks = 1 THEN (random() < 0.5)::integer ELSE (max_tasks + 1) / 2 END,
            clock_timestamp() - settings.aging, categories, blocked, taken, settings.deadlines, blocked_keys);
    END IF;
    WHILE cardinality(chosen) < max_tasks LOOP
        above := urgency;
        IF heads IS NOT NULL THEN
            urgency := nullif(urgency - 1, 0);
        ELSE
            urgency := (
                SELECT t.priority
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority < urgency
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT 1
            );
        END IF;
        EXIT WHEN urgency IS NULL;
        IF settings.claim_order = 'fair' THEN
            SELECT f.*
            INTO fair
            FROM contentq.choose_fair(
                urgency, max_tasks - cardinality(chosen), categories, blocked, taken || chosen, settings.deadlines,
                blocked_keys, ARRAY[(turns->urgency::text->>0)::bigint, (turns->urgency::text->>1)::bigint],
                heads->urgency::text, (heads->>'since')::timestamptz) AS f;
            chosen := chosen || fair.chosen;
            turns := coalesce(turns, '{}') || jsonb_build_object(urgency::text, to_jsonb(fair.turn));
            IF fair.places IS NULL THEN
                places := places - urgency::text;
            ELSE
                -- Nothing is ready in the priorities between.
                places := places || jsonb_build_object(urgency::text, fair.places)
                    || (SELECT coalesce(jsonb_object_agg(p.priority, jsonb '{}'), '{}')
                        FROM generate_series(urgency + 1, above - 1) AS p (priority));
                CONTINUE WHEN fair.places = '{}';
            END IF;
        END IF;
        IF cardinality(chosen) < max_tasks THEN
            chosen := chosen || contentq.choose_in_order(
                urgency, max_tasks - cardinality(chosen), categories, blocked, taken || chosen, settings.deadlines, blocked_keys,
                coalesce((heads->urgency::text->>0)::timestamptz, '-infinity'),
                coalesce((heads->urgency::text->>1)::bigint, -9223372036854775808));
        END IF;
    END LOOP;
END;
$$;

-- Name: FUNCTION choose_by_priority(max_tasks integer, categories text[], blocked bigint[], taken bigint[], settings contentq.settings, heads jsonb, blocked_keys text[], INOUT turns jsonb, OUT places jsonb, OUT chosen bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_by_priority(max_tasks integer, categories text[], blocked bigint[], taken bigint[], settings contentq.settings, heads jsonb, blocked_keys text[], INOUT turns jsonb, OUT places jsonb, OUT chosen bigint[]) IS 'Internal: chooses and locks ready tasks from the highest priority down, in the order that the settings define.';

-- Name: choose_due(integer, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_due(max_tasks integer, due_at timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    last_due_at constant timestamptz := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at DESC
        LIMIT 1
    );
    due bigint[];
BEGIN
    IF last_due_at <> choose_due.due_at THEN
        RETURN '{}'::bigint[];
    END IF;
    due := ARRAY(
        SELECT t.id::bigint
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= choose_due.due_at
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
          AND t.attempt < 2147483647
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        LIMIT choose_due.max_tasks
        FOR UPDATE SKIP LOCKED
    );
    -- Notify other workers only if due tasks remain.
    IF cardinality(due) >= choose_due.max_tasks AND (
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= choose_due.due_at
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        OFFSET choose_due.max_tasks
        LIMIT 1
    ) IS NOT NULL
    THEN
        PERFORM contentq.notify_ready();
    END IF;
    RETURN due;
END;
$$;

-- Name: FUNCTION choose_due(max_tasks integer, due_at timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_due(max_tasks integer, due_at timestamp with time zone) IS 'Internal: chooses and locks scheduled tasks that became due at the same instant, in claim order; returns their ids.';

-- Name: choose_fair(integer, integer, text[], bigint[], bigint[], boolean, text[], bigint[], jsonb, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_fair(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[], INOUT turn bigint[], INOUT places jsonb DEFAULT NULL::jsonb, since timestamp with time zone DEFAULT NULL::timestamp with time zone, OUT chosen bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    lowest constant bigint := -9223372036854775808;
    window_size constant integer := greatest(64, choose_fair.max_tasks);
    is_plain constant boolean := choose_fair.categories IS NULL AND NOT choose_fair.by_deadline
                                  AND cardinality(choose_fair.blocked_keys) = 0;
    began constant timestamptz := clock_timestamp();
    -- Tasks that were submitted, and claims that were made, since then may not be committed yet.
    latest constant timestamptz := began - interval '1 second';
    settled constant timestamptz := began - interval '0.1 seconds';
    first_account bigint := turn[1];
    position bigint := coalesce(first_account - 1, lowest);
    is_around boolean := first_account IS NULL;
    has_more boolean := true;
    looked_at integer := 0;
    added integer;
    next_accounts record;
    read_accounts bigint[] := '{}'::bigint[];
    running_since timestamptz[] := '{}'::timestamptz[];
    account_ids bigint[] := '{}'::bigint[];
    shares integer[] := '{}'::integer[];
    running integer[] := '{}'::integer[];
    rooms integer[] := '{}'::integer[];
    started integer[] := '{}'::integer[];
    quotas integer[];
    last_place integer;
    got integer[];
    each record;
BEGIN
    chosen := '{}';
    IF places IS NOT NULL AND (NOT is_plain OR EXISTS (
        SELECT
        FROM (
            SELECT t.account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = choose_fair.urgency
              AND (t.submitted_at, t.id) > (choose_fair.since, lowest)
            -- The newest first: the latest submission is seen, however many others there were.
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
            LIMIT 1000
        ) AS n
        WHERE NOT places ? n.account_id::text
          AND n.account_id NOT IN (SELECT unnest(choose_fair.blocked))
    )) THEN
        places := NULL;
    END IF;
    IF places = '{}' THEN
        RETURN;
    END IF;
    LOOP
        -- The next accounts above the position; after the highest id, start again from the lowest.
        added := 0;
        WHILE has_more AND added < window_size LOOP
            SELECT f.*
            INTO next_accounts
            FROM contentq.fair_accounts(
                choose_fair.urgency, position, CASE WHEN is_around THEN first_account END, window_size - added,
                choose_fair.blocked, choose_fair.taken || chosen, places) AS f;
            account_ids := account_ids || next_accounts.account_ids;
            read_accounts := read_accounts || next_accounts.account_ids;
            running_since := running_since || next_accounts.running_since;
            shares := shares || next_accounts.shares;
            running := running || next_accounts.running;
            rooms := rooms || next_accounts.rooms;
            position := next_accounts.last_account;
            looked_at := looked_at + next_accounts.looked_at;
            has_more := looked_at < 1000 OR cardinality(account_ids) = 0;
            IF next_accounts.free < window_size - added AND next_accounts.looked_at < 5000 THEN
                has_more := has_more AND NOT is_around;
                is_around := true;
                position := lowest;
            ELSIF is_around AND position >= first_account THEN
                has_more := false;
            END IF;
            added := added + cardinality(next_accounts.account_ids);
        END LOOP;
        IF cardinality(account_ids) = 0 THEN
            EXIT WHEN places IS NULL;
            -- Other accounts may have tasks.
            places := NULL;
            first_account := turn[1];
            position := coalesce(first_account - 1, lowest);
            is_around := first_account IS NULL;
            has_more := true;
            looked_at := 0;
            CONTINUE;
        END IF;
        has_more := has_more AND is_plain;
        IF cardinality(started) = 0 AND account_ids[1] = first_account THEN
            started := ARRAY[turn[2]];
        END IF;
        started := started || array_fill(0, ARRAY[cardinality(account_ids) - cardinality(started)]);

        SELECT q.quotas, q.last_place
        INTO quotas, last_place
        FROM contentq.fair_quotas(
            choose_fair.max_tasks - cardinality(chosen), shares, running, rooms, started) AS q;
        -- An account that got every slot, because no other could use one, does not begin another turn.
        turn := ARRAY[account_ids[last_place],
                      CASE WHEN quotas[last_place] = choose_fair.max_tasks - cardinality(chosen)
                           THEN least(started[last_place] + quotas[last_place], shares[last_place])
                           ELSE (started[last_place] + quotas[last_place] - 1) % shares[last_place] + 1 END];
        got := array_fill(0, ARRAY[cardinality(quotas)]);
        FOR each IN
            SELECT u.place,
                   CASE
                       WHEN is_plain
                       THEN ARRAY(
                           SELECT t.id::bigint
                           FROM public.content_generation_tasks AS t
                           WHERE t.status = 'pending'
                             AND t.scheduled_at IS NULL
                             AND (10 - t.priority) = 10 - choose_fair.urgency
                             AND t.account_id = u.account_id
                             AND (t.submitted_at, t.id) > (u.submitted_at, u.id)
                             AND t.id <> ALL (choose_fair.taken || choose_fair.chosen)
                             AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
                             AND t.attempt < 2147483647
                           ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                           LIMIT u.quota
                           FOR UPDATE SKIP LOCKED
                       )
                       ELSE contentq.lock_in_order(ARRAY(
                           SELECT w.id
                           FROM (
                               SELECT t.id::bigint AS id, t.category, t.timeout_at, t.submitted_at
                               FROM public.content_generation_tasks AS t
                               WHERE t.status = 'pending'
                                 AND t.scheduled_at IS NULL
                                 AND (10 - t.priority) = 10 - choose_fair.urgency
                                 AND t.account_id = u.account_id
                               ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                               LIMIT 1000
                           ) AS w
                           WHERE w.id <> ALL (choose_fair.taken || choose_fair.chosen)
                             AND contentq.is_of(w.category, choose_fair.categories)
                             AND (cardinality(choose_fair.blocked_keys) = 0
                                  OR contentq.budget_key(u.account_id, w.category) <> ALL (choose_fair.blocked_keys))
                             AND NOT (choose_fair.by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
                           ORDER BY CASE WHEN choose_fair.by_deadline THEN w.timeout_at END, w.submitted_at, w.id
                       ), u.quota)
                   END AS ids
            FROM (
                SELECT q.*,
                       coalesce((places->q.account_id::text->>0)::timestamptz, '-infinity') AS submitted_at,
                       coalesce((places->q.account_id::text->>1)::bigint, lowest) AS id
                FROM unnest(account_ids, quotas) WITH ORDINALITY AS q (account_id, quota, place)
                WHERE q.quota > 0
            ) AS u
        LOOP
            chosen := chosen || each.ids;
            got[each.place] := cardinality(each.ids);
        END LOOP;
        EXIT WHEN cardinality(chosen) >= choose_fair.max_tasks;

        -- Accounts that can use more slots stay for the next round.
        SELECT coalesce(array_agg(u.account_id ORDER BY u.place), '{}'), array_agg(u.share ORDER BY u.place),
               array_agg(u.running + u.got ORDER BY u.place), array_agg(u.room - u.got ORDER BY u.place),
               coalesce(array_agg(u.started + u.got ORDER BY u.place), '{}')
        INTO account_ids, shares, running, rooms, started
        FROM unnest(account_ids, shares, running, rooms, started, quotas, got)
            WITH ORDINALITY AS u (account_id, share, running, room, started, quota, got, place)
        WHERE u.got = u.quota
          AND coalesce(u.room > u.got, true);
    END LOOP;

    IF places IS NULL THEN
        IF NOT is_plain
            OR clock_timestamp() - began < interval '3 milliseconds' + choose_fair.max_tasks * interval '20 microseconds'
        THEN
            RETURN;
        END IF;
        -- Places of all accounts with ready tasks, unless they are many.
        IF has_more AND cardinality(read_accounts) <= 256 THEN
            SELECT f.*
            INTO next_accounts
            FROM contentq.fair_accounts(choose_fair.urgency, lowest, NULL, 257, choose_fair.blocked, '{}') AS f;
            read_accounts := next_accounts.account_ids;
            running_since := next_accounts.running_since;
            looked_at := next_accounts.looked_at;
        END IF;
        IF cardinality(read_accounts) > 256 OR looked_at >= 1000 THEN
            RETURN;
        END IF;
    END IF;
    SELECT coalesce(places, '{}') || coalesce(jsonb_object_agg(
               r.account_id,
               CASE WHEN p.submitted_at < latest THEN jsonb_build_array(p.submitted_at, p.id, least(settled, r.running_since))
                    ELSE jsonb_build_array(latest, 0, least(settled, r.running_since)) END), '{}')
    INTO places
    FROM (
        SELECT DISTINCT ON (a.account_id) a.account_id, a.running_since
        FROM unnest(read_accounts, running_since) AS a (account_id, running_since)
        ORDER BY a.account_id
    ) AS r
    LEFT JOIN LATERAL (
        SELECT c.submitted_at, c.id
        FROM (
            SELECT DISTINCT ON (o.account_id) o.account_id, o.submitted_at, o.id
            FROM unnest(chosen) AS u (id)
            CROSS JOIN LATERAL (
                SELECT t.account_id::bigint AS account_id, t.submitted_at, t.id::bigint AS id
                FROM public.content_generation_tasks AS t
                WHERE t.id = u.id
                LIMIT 1
            ) AS o
            ORDER BY o.account_id, o.submitted_at DESC, o.id DESC
        ) AS c
        WHERE c.account_id = r.account_id
    ) AS l ON true
    -- Accounts that got no slot, and whose first task is not known yet, begin just before it.
    LEFT JOIN LATERAL (
        SELECT t.submitted_at, t.id::bigint - 1 AS id
        FROM public.content_generation_tasks AS t
        WHERE l.id IS NULL
          AND places IS NULL
          AND t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND (10 - t.priority) = 10 - choose_fair.urgency
          AND t.account_id = r.account_id
        ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
        LIMIT 1
    ) AS f ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(l.submitted_at, f.submitted_at, (places->r.account_id::text->>0)::timestamptz) AS submitted_at,
               coalesce(l.id, f.id, (places->r.account_id::text->>1)::bigint) AS id
    ) AS p;
END;
$$;

-- Name: FUNCTION choose_fair(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[], INOUT turn bigint[], INOUT places jsonb, since timestamp with time zone, OUT chosen bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_fair(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[], INOUT turn bigint[], INOUT places jsonb, since timestamp with time zone, OUT chosen bigint[]) IS 'Internal: chooses and locks ready tasks of one priority so that running tasks are shared out between accounts.';

-- Name: choose_first(integer, jsonb, interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_first(max_tasks integer, INOUT places jsonb, OUT chosen bigint[], long interval DEFAULT NULL::interval) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    began constant timestamptz := clock_timestamp();
    is_long constant interval := coalesce(
        choose_first.long, interval '3 milliseconds' + choose_first.max_tasks * interval '20 microseconds'
    );
    heads jsonb;
    head record;
    took interval;
    until timestamptz;
BEGIN
    chosen := '{}';
    -- The upper bound discards places from before the clock was set back.
    IF (places->>'until')::timestamptz BETWEEN began AND began + interval '1 second' THEN
        heads := places->'heads';
        until := (places->>'until')::timestamptz;
        FOR urgency IN REVERSE 10..1 LOOP
            SELECT coalesce((heads->urgency::text->>0)::timestamptz, '-infinity') AS submitted_at,
                   coalesce((heads->urgency::text->>1)::bigint, -9223372036854775808) AS id
            INTO head;
            chosen := chosen || ARRAY(
                SELECT t.id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority = urgency
                  AND (t.submitted_at, t.id) > (head.submitted_at, head.id)
                  AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
                  AND t.attempt < 2147483647
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_first.max_tasks - cardinality(chosen)
                FOR UPDATE SKIP LOCKED
            );
            EXIT WHEN cardinality(chosen) >= choose_first.max_tasks;
        END LOOP;
    ELSE
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT choose_first.max_tasks
            FOR UPDATE SKIP LOCKED
        );
        took := clock_timestamp() - began;
        -- A scan that found nothing is not repeated at once: its worker sleeps until there may be a task.
        IF took < is_long OR cardinality(chosen) = 0 THEN
            places := NULL;
            RETURN;
        END IF;
        until := began + least(20 * took, interval '1 second');
    END IF;

    places := jsonb_build_object(
        'until', until,
        'heads', contentq.reached_places(heads, chosen, cardinality(chosen) >= choose_first.max_tasks, began)
    );
END;
$$;

-- Name: FUNCTION choose_first(max_tasks integer, INOUT places jsonb, OUT chosen bigint[], long interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_first(max_tasks integer, INOUT places jsonb, OUT chosen bigint[], long interval) IS 'Internal: chooses and locks the first ready tasks in strict order; returns their ids, in order, and places to remember.';

-- Name: choose_in_order(integer, integer, text[], bigint[], bigint[], boolean, text[], timestamp with time zone, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_in_order(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[] DEFAULT '{}'::text[], after_submitted timestamp with time zone DEFAULT '-infinity'::timestamp with time zone, after_id bigint DEFAULT '-9223372036854775808'::bigint) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    is_plain constant boolean := cardinality(choose_in_order.blocked_keys) = 0;
    has_without_category constant boolean := array_position(choose_in_order.categories, NULL) IS NOT NULL;
    chosen bigint[] := '{}'::bigint[];
    size integer := least(1000, greatest(50, 2 * choose_in_order.max_tasks));
    after_timeout timestamptz := clock_timestamp();
    walked integer := 0;
    seen record;
    by_account bigint[];
BEGIN
    WHILE choose_in_order.by_deadline AND cardinality(chosen) < choose_in_order.max_tasks LOOP
        SELECT count(*) AS read,
               array_agg(w.id::bigint ORDER BY w.timeout_at, w.submitted_at, w.id) FILTER (
                   WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                     AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                     AND contentq.is_of(w.category, choose_in_order.categories)
                     AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                     AND NOT contentq.misses_deadline(w.timeout_at, w.category)
               ) AS free,
               (array_agg(w.timeout_at ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS timeout_at,
               (array_agg(w.submitted_at ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
               (array_agg(w.id ORDER BY w.timeout_at DESC, w.submitted_at DESC, w.id DESC))[1] AS id
        INTO seen
        FROM (
            SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.timeout_at IS NOT NULL
              AND (10 - t.priority) = 10 - choose_in_order.urgency
              AND (t.timeout_at, t.submitted_at, t.id) > (after_timeout, after_submitted, after_id)
            ORDER BY (10 - t.priority), t.timeout_at, t.submitted_at, t.id
            LIMIT size
        ) AS w;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_in_order.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size;
        after_timeout := seen.timeout_at;
        after_submitted := seen.submitted_at;
        after_id := seen.id;
        size := least(greatest(1000, 2 * size), 10000);
    END LOOP;

    IF choose_in_order.by_deadline THEN
        after_submitted := '-infinity';
        after_id := -9223372036854775808;
    END IF;
    WHILE cardinality(chosen) < choose_in_order.max_tasks LOOP
        IF choose_in_order.categories IS NULL THEN
            SELECT count(*) AS read,
                   array_agg(w.id::bigint ORDER BY w.submitted_at, w.id) FILTER (
                       WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                         AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                         AND (NOT choose_in_order.by_deadline OR w.timeout_at IS NULL)
                         AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                   ) AS free,
                   (array_agg(w.submitted_at ORDER BY w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
                   (array_agg(w.id ORDER BY w.submitted_at DESC, w.id DESC))[1] AS id
            INTO seen
            FROM (
                SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.priority = choose_in_order.urgency
                  AND (t.submitted_at, t.id) > (after_submitted, after_id)
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT size
            ) AS w;
        ELSE
            SELECT count(*) AS read,
                   array_agg(w.id::bigint ORDER BY w.submitted_at, w.id) FILTER (
                       WHERE w.account_id NOT IN (SELECT unnest(choose_in_order.blocked))
                         AND w.id NOT IN (SELECT unnest(choose_in_order.taken))
                         AND (NOT choose_in_order.by_deadline OR w.timeout_at IS NULL)
                         AND (is_plain OR contentq.budget_key(w.account_id, w.category) <> ALL (choose_in_order.blocked_keys))
                   ) AS free,
                   (array_agg(w.submitted_at ORDER BY w.submitted_at DESC, w.id DESC))[1] AS submitted_at,
                   (array_agg(w.id ORDER BY w.submitted_at DESC, w.id DESC))[1] AS id
            INTO seen
            FROM (
                SELECT s.*
                FROM unnest(choose_in_order.categories) AS c (category)
                CROSS JOIN LATERAL (
                    SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                    FROM public.content_generation_tasks AS t
                    WHERE t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - choose_in_order.urgency
                      AND t.category = c.category
                      AND (t.submitted_at, t.id) > (after_submitted, after_id)
                    ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
                    LIMIT size
                ) AS s
                UNION ALL
                SELECT n.*
                FROM (
                    SELECT t.id, t.account_id, t.category, t.timeout_at, t.submitted_at
                    FROM public.content_generation_tasks AS t
                    WHERE has_without_category
                      AND t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - choose_in_order.urgency
                      AND t.category IS NULL
                      AND (t.submitted_at, t.id) > (after_submitted, after_id)
                    ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
                    LIMIT size
                ) AS n
                ORDER BY submitted_at, id
                LIMIT size
            ) AS w;
        END IF;
        chosen := chosen || contentq.lock_in_order(seen.free, choose_in_order.max_tasks - cardinality(chosen));
        EXIT WHEN seen.read < size OR cardinality(chosen) >= choose_in_order.max_tasks;
        after_submitted := seen.submitted_at;
        after_id := seen.id;
        walked := walked + size;
        IF choose_in_order.categories IS NULL AND NOT choose_in_order.by_deadline AND is_plain
            AND coalesce(cardinality(seen.free), 0) < size / 10
        THEN
            by_account := contentq.choose_by_account(
                choose_in_order.urgency, choose_in_order.max_tasks - cardinality(chosen), choose_in_order.blocked,
                choose_in_order.taken || chosen, 1000 + 2 * walked + cardinality(choose_in_order.blocked)
            );
            IF by_account IS NOT NULL THEN
                RETURN chosen || by_account;
            END IF;
        END IF;
        size := least(greatest(1000, 2 * size), 10000);
    END LOOP;
    RETURN chosen;
END;
$$;

-- Name: FUNCTION choose_in_order(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[], after_submitted timestamp with time zone, after_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_in_order(urgency integer, max_tasks integer, categories text[], blocked bigint[], taken bigint[], by_deadline boolean, blocked_keys text[], after_submitted timestamp with time zone, after_id bigint) IS 'Internal: chooses and locks ready tasks of one priority in strict order, skipping those that may not start.';

-- Name: choose_matching(text, text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_matching(operation text, status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer, OUT ids bigint[], OUT last_id bigint, OUT locked bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    wanted constant integer := least(greatest(coalesce(choose_matching.max_tasks, 1000), 1), 10000);
    statuses constant text[] := contentq.selected_statuses(choose_matching.operation, choose_matching.status);
    found bigint[];
BEGIN
    IF num_nonnulls(
        choose_matching.status, choose_matching.account_id, choose_matching.category, choose_matching.batch,
        choose_matching.since, choose_matching.until, choose_matching.error, choose_matching.worker_id) = 0
    THEN
        RAISE EXCEPTION 'no selector given: name the tasks to %', choose_matching.operation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass at least one selector, such as status or batch. To select all tasks: since => ''-infinity''.';
    END IF;
    found := ARRAY(
        SELECT contentq.select_tasks(
            statuses, choose_matching.account_id, choose_matching.category, choose_matching.batch, choose_matching.since,
            choose_matching.until, choose_matching.error, choose_matching.worker_id,
            only_rejected => choose_matching.operation = 'requeue', beyond_id => choose_matching.after_id,
            max_tasks => wanted)
    );
    last_id := CASE WHEN cardinality(found) = wanted THEN found[wanted] END;
    locked := 0;
    ids := '{}';
    IF cardinality(found) = 0 THEN
        RETURN;
    END IF;
    SELECT l.ids, l.locked INTO ids, locked FROM contentq.lock_selected(found, statuses) AS l;
END;
$$;

-- Name: FUNCTION choose_matching(operation text, status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer, OUT ids bigint[], OUT last_id bigint, OUT locked bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_matching(operation text, status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer, OUT ids bigint[], OUT last_id bigint, OUT locked bigint) IS 'Internal: chooses and locks the next tasks that an operation with selectors changes; returns their ids, the after_id of the next call, and how many tasks other sessions have locked.';

-- Name: choose_ready(bigint, integer, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_ready(worker_id bigint, max_tasks integer, categories text[], OUT chosen bigint[], OUT look_again boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    -- Without duplicates: a category named twice would return each of its tasks twice.
    only_categories constant text[] := CASE
        WHEN choose_ready.categories IS NOT NULL
        THEN ARRAY(SELECT DISTINCT c.category FROM unnest(choose_ready.categories) AS c (category) WHERE c.category IS NOT NULL)
    END;
    open_categories text[] := only_categories;
    settings contentq.settings;
    memory jsonb;
    remembered jsonb;
    blocked bigint[] := contentq.left_out_accounts();
    is_plain boolean;
    due_at timestamptz;
    due bigint[];
    is_limited constant boolean := EXISTS (SELECT FROM public.accounts AS a WHERE a.max_running IS NOT NULL)
                                   OR EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                                   OR EXISTS (SELECT FROM contentq.budgets AS b);
    over_budget bigint[] := '{}'::bigint[];
    -- Categories, and accounts with a category, that a budget blocks. spent has them as [account, category] in JSON, to
    -- check them again.
    blocked_categories text[] := '{}'::text[];
    blocked_keys text[] := '{}'::text[];
    spent jsonb := '[]'::jsonb;
    part bigint[];
    first record;
    by_priority record;
    kept record;
    -- Places in strict order past the tasks of blocked accounts, or for some categories.
    has_places boolean;
    -- The same in fair order.
    has_fair_places boolean;
    places jsonb;
    heads jsonb;
    fair_places jsonb := jsonb '{}';
    began timestamptz;
    took interval;
BEGIN
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;
    SELECT c.memory INTO memory FROM contentq.claimers AS c WHERE c.worker_id = choose_ready.worker_id;
    remembered := coalesce(memory, '{}');
    -- Accounts that earlier claims found over budget are checked first, so that their tasks are not read. Of more than 100,
    -- each claim checks the next 100 and leaves out the others until their turn.
    IF remembered ? 'over_budget' THEN
        over_budget := ARRAY(
            SELECT r.id::bigint
            FROM jsonb_array_elements_text(remembered->'over_budget') WITH ORDINALITY AS r (id, place)
            ORDER BY r.place
            LIMIT 5000
        );
        over_budget := over_budget[101:] || contentq.over_budget(over_budget[:100]);
        blocked := blocked || over_budget;
        remembered := CASE WHEN cardinality(over_budget) = 0 THEN remembered - 'over_budget'
                           ELSE remembered || jsonb_build_object('over_budget', over_budget) END;
    END IF;
    IF remembered ? 'spent' THEN
        SELECT coalesce(jsonb_agg(r.key ORDER BY r.key <> '[null, null]', r.place <= 20, r.place), '[]')
        INTO spent
        FROM jsonb_array_elements(remembered->'spent') WITH ORDINALITY AS r (key, place)
        WHERE r.place <= 2000
          AND (r.place > 20 OR contentq.budget_holds((r.key->>0)::bigint, r.key->>1));
        remembered := CASE WHEN spent = '[]' THEN remembered - 'spent'
                           ELSE remembered || jsonb_build_object('spent', spent) END;
        SELECT coalesce(array_agg(s.key->>1) FILTER (WHERE s.key->>0 IS NULL), '{}'),
               coalesce(array_agg(contentq.budget_key((s.key->>0)::bigint, s.key->>1)) FILTER (WHERE s.key->>0 IS NOT NULL),
                        '{}')
        INTO blocked_categories, blocked_keys
        FROM jsonb_array_elements(spent) AS s (key);
        open_categories := contentq.open_categories(only_categories, blocked_categories);
    END IF;
    chosen := '{}';
    look_again := false;
    -- The budget of all accounts.
    IF spent->0 = '[null, null]' THEN
        SELECT a.admitted
        INTO chosen
        FROM contentq.admit(
            contentq.choose_answered(
                choose_ready.max_tasks, only_categories, contentq.left_out_accounts(), '{}'::bigint[]),
            '{}'::bigint[]) AS a;
        RETURN;
    END IF;

    has_places := settings.claim_order = 'strict' AND NOT settings.deadlines AND settings.aging IS NULL;
    is_plain := has_places AND only_categories IS NULL AND cardinality(blocked) = 0 AND spent = '[]';
    has_places := has_places AND NOT is_plain;
    has_fair_places := settings.claim_order = 'fair' AND NOT settings.deadlines AND settings.aging IS NULL
                       AND only_categories IS NULL AND spent = '[]';
    places := remembered->'places';
    IF has_fair_places
        AND (remembered->'fair_places'->>'until')::timestamptz BETWEEN now_ AND now_ + interval '1 second'
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements_text(remembered->'fair_places'->'blocked') AS h (id)
                        WHERE h.id::bigint NOT IN (SELECT unnest(blocked)))
    THEN
        heads := remembered->'fair_places'->'heads';
    END IF;

    -- Not EXISTS, which drops the order and with it the reason to use the index on scheduled_at.
    due_at := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at
        LIMIT 1
    );
    IF due_at IS NOT NULL AND is_plain AND NOT is_limited THEN
        due := contentq.choose_due(choose_ready.max_tasks, due_at);
    END IF;
    -- Other due tasks become ready, also those that may no longer start.
    IF due_at IS NOT NULL AND coalesce(cardinality(due), 0) = 0
        AND contentq.promote_scheduled(500) > choose_ready.max_tasks
    THEN
        PERFORM contentq.notify_ready();
    END IF;

    IF is_plain THEN
        SELECT f.*
        INTO first
        FROM contentq.choose_first(choose_ready.max_tasks, CASE WHEN NOT places ? 'blocked' THEN places END) AS f;
        part := first.chosen;
        remembered := CASE WHEN first.places IS NULL THEN remembered - 'places'
                           ELSE remembered || jsonb_build_object('places', first.places) END;
        IF cardinality(due) > 0 AND cardinality(part) = 0 THEN
            part := due;
        ELSIF cardinality(due) > 0 THEN
            part := ARRAY(
                SELECT t.id::bigint
                FROM public.content_generation_tasks AS t
                WHERE t.id = ANY (due || part)
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_ready.max_tasks
            );
            -- Ready tasks that were not chosen lie before these places.
            remembered := remembered - 'places';
            -- Due tasks that were not chosen become ready: tasks that become due later may be more urgent.
            UPDATE public.content_generation_tasks AS t
            SET scheduled_at = NULL,
                ready_at = greatest(t.scheduled_at, t.submitted_at),
                updated_at = CURRENT_TIMESTAMP
            WHERE t.id = ANY (due)
              AND t.id <> ALL (part);
        END IF;
    -- Before these places lie tasks of accounts that were blocked: all of them must still be blocked.
    ELSIF has_places
        AND (places->>'until')::timestamptz BETWEEN now_ AND now_ + interval '1 second'
        AND places->'categories' = coalesce(to_jsonb(only_categories), 'null')
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements_text(places->'blocked') AS h (id)
                        WHERE h.id::bigint NOT IN (SELECT unnest(blocked)))
        AND NOT EXISTS (SELECT
                        FROM jsonb_array_elements(places->'spent') AS p (key)
                        WHERE p.key NOT IN (SELECT s.key FROM jsonb_array_elements(spent) AS s (key)))
    THEN
        heads := places->'heads';
    END IF;

    began := clock_timestamp();
    -- Each further round replaces tasks of accounts that had no room.
    FOR round IN 1..10 LOOP
        IF part IS NULL THEN
            SELECT b.*
            INTO by_priority
            FROM contentq.choose_by_priority(
                choose_ready.max_tasks - cardinality(chosen), open_categories, blocked, chosen, settings, heads,
                blocked_keys, remembered->'turns') AS b;
            part := by_priority.chosen;
            fair_places := by_priority.places;
            -- Tasks may have become ready before the places.
            IF has_fair_places AND heads IS NOT NULL AND cardinality(chosen) + cardinality(part) = 0 THEN
                heads := NULL;
                part := NULL;
                CONTINUE;
            END IF;
            remembered := remembered || jsonb_strip_nulls(jsonb_build_object('turns', by_priority.turns));
        END IF;

        IF NOT is_limited OR cardinality(part) = 0 THEN
            chosen := chosen || part;
            EXIT;
        END IF;
        SELECT a.* INTO kept FROM contentq.admit(part, chosen) AS a;
        chosen := chosen || kept.admitted;
        blocked := blocked || kept.blocked;
        look_again := look_again OR kept.contended OR round = 10;
        IF cardinality(kept.over_budget) > 0 THEN
            -- Also check the accounts of the following tasks: thousands may be over budget.
            SELECT array_agg(DISTINCT o.id)
            INTO kept.over_budget
            FROM unnest(kept.over_budget
                        || contentq.over_budget(contentq.next_accounts(part[cardinality(part)]))) AS o (id)
            WHERE o.id <> ALL (over_budget);
            blocked := blocked || kept.over_budget;
            over_budget := over_budget || kept.over_budget;
            remembered := remembered || jsonb_build_object('over_budget', over_budget);
        END IF;
        IF cardinality(kept.blocked_categories) > 0 OR cardinality(kept.blocked_keys) > 0 THEN
            blocked_categories := blocked_categories || kept.blocked_categories;
            blocked_keys := blocked_keys || kept.blocked_keys;
            open_categories := contentq.open_categories(only_categories, blocked_categories);
            -- Not what another claim is counting: it may have room in a moment.
            IF NOT kept.contended THEN
                spent := spent
                    || (SELECT coalesce(jsonb_agg(jsonb_build_array(NULL, n.category)), '[]')
                        FROM (SELECT DISTINCT unnest(kept.blocked_categories) AS category) AS n)
                    || (SELECT coalesce(jsonb_agg(jsonb_build_array(split_part(n.key, ':', 1)::bigint,
                                                                    substr(n.key, strpos(n.key, ':') + 1))), '[]')
                        FROM (SELECT DISTINCT unnest(kept.blocked_keys) AS key) AS n);
                remembered := remembered || jsonb_build_object('spent', spent);
            END IF;
        END IF;
        IF kept.all_blocked AND NOT kept.contended THEN
            remembered := remembered || jsonb_build_object('spent', jsonb '[[null, null]]' || spent);
        END IF;
        EXIT WHEN kept.all_blocked
            OR cardinality(kept.blocked) + cardinality(kept.blocked_categories) + cardinality(kept.blocked_keys) = 0;
        -- Refused tasks lie before the places and may start as soon as their accounts have room.
        remembered := remembered - 'places';
        has_fair_places := false;
        EXIT WHEN cardinality(chosen) >= choose_ready.max_tasks;
        part := NULL;
    END LOOP;

    -- Blocked tasks may include some whose batch answer has arrived and is already paid for.
    IF is_limited AND cardinality(chosen) < choose_ready.max_tasks THEN
        part := contentq.choose_answered(
            choose_ready.max_tasks - cardinality(chosen), only_categories, contentq.left_out_accounts(), chosen);
        IF cardinality(part) > 0 THEN
            SELECT a.* INTO kept FROM contentq.admit(part, chosen) AS a;
            chosen := chosen || kept.admitted;
            look_again := look_again OR kept.contended;
        END IF;
    END IF;

    -- For the reason, see choose_first().
    IF has_places THEN
        remembered := remembered - 'places';
        took := clock_timestamp() - began;
        IF cardinality(blocked) <= 1000
            AND (heads IS NOT NULL
                 OR took > interval '5 milliseconds' + choose_ready.max_tasks * interval '20 microseconds')
        THEN
            remembered := remembered || jsonb_build_object('places', jsonb_build_object(
                'until', CASE WHEN heads IS NOT NULL THEN (places->>'until')::timestamptz
                              ELSE now_ + least(20 * took, interval '1 second') END,
                'categories', only_categories,
                'blocked', blocked,
                'spent', spent,
                'heads', contentq.reached_places(
                    heads, chosen, cardinality(chosen) >= choose_ready.max_tasks, now_)
            ));
        END IF;
    END IF;

    remembered := remembered - 'fair_places';
    IF has_fair_places AND fair_places <> '{}' AND cardinality(blocked) <= 1000 THEN
        remembered := remembered || jsonb_build_object('fair_places', jsonb_build_object(
            'until', CASE WHEN heads IS NOT NULL THEN (memory->'fair_places'->>'until')::timestamptz
                          ELSE now_ + least(20 * (clock_timestamp() - began), interval '1 second') END,
            'blocked', blocked,
            'heads', fair_places || jsonb_build_object(
                'since', coalesce((heads->>'since')::timestamptz, now_ - interval '1 second'))
        ));
    END IF;

    IF remembered IS DISTINCT FROM coalesce(memory, '{}') THEN
        UPDATE contentq.claimers AS c
        SET memory = remembered
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = choose_ready.worker_id
                             FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END;
$$;

-- Name: FUNCTION choose_ready(worker_id bigint, max_tasks integer, categories text[], OUT chosen bigint[], OUT look_again boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_ready(worker_id bigint, max_tasks integer, categories text[], OUT chosen bigint[], OUT look_again boolean) IS 'Internal: chooses and locks the tasks that claim() is going to claim; returns their ids.';

-- Name: content_generation_tasks; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.content_generation_tasks (
    id integer NOT NULL,
    task_id character varying(100) DEFAULT ('task-'::text || encode(uuid_send(gen_random_uuid()), 'hex'::text)) NOT NULL,
    content_id integer,
    account_id integer NOT NULL,
    topic character varying(500),
    keywords character varying(500),
    category character varying(100),
    requirements text,
    tone character varying(50),
    status character varying(50) DEFAULT 'pending'::character varying NOT NULL,
    priority integer DEFAULT 5 NOT NULL,
    retry_count integer DEFAULT 0 NOT NULL,
    max_retries integer DEFAULT 3 NOT NULL,
    submitted_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    timeout_at timestamp with time zone,
    result json,
    error_message text,
    auto_approve boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    scheduled_at timestamp with time zone,
    attempt integer DEFAULT 0 NOT NULL,
    worker_id bigint,
    cancel_requested_at timestamp with time zone,
    attempt_errors jsonb DEFAULT '[]'::jsonb NOT NULL,
    progress real,
    progress_note text,
    revision_count integer DEFAULT 0 NOT NULL,
    revision_note text,
    gate text,
    gate_entered_at timestamp with time zone,
    handler_state jsonb,
    batch character varying(100),
    traceparent character varying(55),
    ready_at timestamp with time zone,
    CONSTRAINT content_generation_tasks_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT content_generation_tasks_attempt_errors_check CHECK (((attempt_errors @? 'strict $[*].*'::jsonpath) IS NOT NULL)),
    CONSTRAINT content_generation_tasks_cancel_requested_at_check CHECK (isfinite(cancel_requested_at)),
    CONSTRAINT content_generation_tasks_completed_at_check CHECK (COALESCE(isfinite(completed_at), ((status)::text <> 'completed'::text))),
    CONSTRAINT content_generation_tasks_created_at_check CHECK (isfinite(created_at)),
    CONSTRAINT content_generation_tasks_gate_entered_at_check CHECK (isfinite(gate_entered_at)),
    CONSTRAINT content_generation_tasks_handler_state_check CHECK (((handler_state @> '{}'::jsonb) AND (octet_length((handler_state)::text) <= 8192))),
    CONSTRAINT content_generation_tasks_max_retries_check CHECK ((max_retries >= 0)),
    CONSTRAINT content_generation_tasks_priority_check CHECK (((priority >= 1) AND (priority <= 10))),
    CONSTRAINT content_generation_tasks_progress_check CHECK (((progress >= '0'::real) AND (progress <= '1'::real))),
    CONSTRAINT content_generation_tasks_ready_at_check CHECK (isfinite(ready_at)),
    CONSTRAINT content_generation_tasks_result_check CHECK (((result IS NULL) OR ((result)::jsonb IS NOT NULL))),
    CONSTRAINT content_generation_tasks_retry_count_check CHECK ((retry_count >= 0)),
    CONSTRAINT content_generation_tasks_revision_count_check CHECK ((revision_count >= 0)),
    CONSTRAINT content_generation_tasks_started_at_check CHECK (COALESCE(isfinite(started_at), ((status)::text <> 'processing'::text))),
    CONSTRAINT content_generation_tasks_status_check CHECK (((status)::text = ANY ('{pending,processing,completed,failed,timeout}'::text[]))),
    CONSTRAINT content_generation_tasks_submitted_at_check CHECK (isfinite(submitted_at)),
    CONSTRAINT content_generation_tasks_task_id_check CHECK (((task_id)::text <> ''::text)),
    CONSTRAINT content_generation_tasks_updated_at_check CHECK (isfinite(updated_at))
);

-- Name: TABLE content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.content_generation_tasks IS 'The queue: one row follows one piece of content from its submission to its end. Producers must set account_id; every other column has a default.';

-- Name: COLUMN content_generation_tasks.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.id IS 'Internal identifier (4 bytes by specification).';

-- Name: COLUMN content_generation_tasks.task_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.task_id IS 'Public identifier; by default task-<32 hex digits>.';

-- Name: COLUMN content_generation_tasks.content_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.content_id IS 'The latest content that the task produced; NULL before that.';

-- Name: COLUMN content_generation_tasks.account_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.account_id IS 'The account for which content is generated.';

-- Name: COLUMN content_generation_tasks.topic; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.topic IS 'Subject, up to 500 characters.';

-- Name: COLUMN content_generation_tasks.keywords; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.keywords IS 'Comma-separated, up to 500 characters.';

-- Name: COLUMN content_generation_tasks.category; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.category IS 'Category, up to 100 characters; workers can claim by category.';

-- Name: COLUMN content_generation_tasks.requirements; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.requirements IS 'Special instructions for the handler.';

-- Name: COLUMN content_generation_tasks.tone; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.tone IS 'Tone of voice, up to 50 characters.';

-- Name: COLUMN content_generation_tasks.status; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.status IS 'pending, processing, completed, failed or timeout.';

-- Name: COLUMN content_generation_tasks.priority; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.priority IS '1 to 10; higher is more urgent.';

-- Name: COLUMN content_generation_tasks.retry_count; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.retry_count IS 'Number of retries charged so far.';

-- Name: COLUMN content_generation_tasks.max_retries; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.max_retries IS 'Retries allowed after the first attempt: max_retries + 1 attempts in all.';

-- Name: COLUMN content_generation_tasks.submitted_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.submitted_at IS 'When it was submitted; within a priority, older tasks are claimed first.';

-- Name: COLUMN content_generation_tasks.started_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.started_at IS 'When the latest attempt started.';

-- Name: COLUMN content_generation_tasks.completed_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.completed_at IS 'When it was completed.';

-- Name: COLUMN content_generation_tasks.timeout_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.timeout_at IS 'Deadline of the whole task, including waiting; after it the task ends with status timeout.';

-- Name: COLUMN content_generation_tasks.result; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.result IS 'The result of the handler, e.g. {"success": true, "content_id": 123, "word_count": 1500}.';

-- Name: COLUMN content_generation_tasks.error_message; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.error_message IS 'The latest error; NULL after completion.';

-- Name: COLUMN content_generation_tasks.auto_approve; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.auto_approve IS 'Whether content of the task is approved without review.';

-- Name: COLUMN content_generation_tasks.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.created_at IS 'When the row was inserted.';

-- Name: COLUMN content_generation_tasks.updated_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.updated_at IS 'When the row was last updated; set by a trigger.';

-- Name: COLUMN content_generation_tasks.scheduled_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.scheduled_at IS 'The task is not claimed before this time (delay or backoff). NULL: ready now; it becomes NULL when due.';

-- Name: COLUMN content_generation_tasks.attempt; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.attempt IS 'Fencing token: increased by each claim, never reset. An outcome counts only with the current value.';

-- Name: COLUMN content_generation_tasks.worker_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.worker_id IS 'The worker that holds the task, or one that has not yet received notice that it no longer holds it.';

-- Name: COLUMN content_generation_tasks.cancel_requested_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.cancel_requested_at IS 'When a running task was cancelled; it can then only end failed.';

-- Name: COLUMN content_generation_tasks.attempt_errors; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.attempt_errors IS 'The last 20 failures: array of {attempt, at, worker_id, error_class, message}.';

-- Name: COLUMN content_generation_tasks.progress; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.progress IS 'Progress of the latest attempt, from 0 to 1, as its handler reports it; NULL if it reports none.';

-- Name: COLUMN content_generation_tasks.progress_note; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.progress_note IS 'The latest progress note of the latest attempt.';

-- Name: COLUMN content_generation_tasks.revision_count; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.revision_count IS 'Number of revisions requested so far because checks failed; they charge no retry.';

-- Name: COLUMN content_generation_tasks.revision_note; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.revision_note IS 'What the next attempt must change in the content: the failed checks, one per line, or the note of a reviewer; NULL after completion.';

-- Name: COLUMN content_generation_tasks.gate; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.gate IS 'The gate that the latest attempt has entered, for workers with several gates; NULL for other workers.';

-- Name: COLUMN content_generation_tasks.gate_entered_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.gate_entered_at IS 'When the attempt entered that gate.';

-- Name: COLUMN content_generation_tasks.handler_state; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.handler_state IS 'State that the handler stored for its next attempt when it snoozed the task: a JSON object of up to 8192 bytes.';

-- Name: COLUMN content_generation_tasks.batch; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.batch IS 'Name of the batch in which the task was submitted, up to 100 characters, chosen by the producer. See the view batches.';

-- Name: COLUMN content_generation_tasks.traceparent; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.traceparent IS 'Trace context of the producer (W3C traceparent); attempts are spans of that trace.';

-- Name: COLUMN content_generation_tasks.ready_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.ready_at IS 'When the task became ready for its latest attempt, if not by its submission: at its scheduled time, after a retry, or when an operator requeued it. NULL: at its submission.';

-- Name: claim(bigint, integer, text[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.claim(worker_id bigint, max_tasks integer, categories text[] DEFAULT NULL::text[], task_ids bigint[] DEFAULT NULL::bigint[]) RETURNS SETOF public.content_generation_tasks
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- Whether tasks are being committed without a notification (see wake_workers). Must be read before the tasks are.
    are_coming constant boolean := contentq.are_tasks_coming();
    worker contentq.workers;
    wanted integer;
    ready record;
    chosen bigint[];
    fitting bigint[];
    look_again boolean := false;
BEGIN
    SELECT w.* INTO worker FROM contentq.workers AS w WHERE w.id = claim.worker_id AND w.login = session_user;
    IF NOT FOUND THEN
        PERFORM contentq.raise_not_registered(claim.worker_id);
    END IF;
    IF claim.max_tasks IS NULL OR claim.max_tasks < 1 THEN
        RETURN;
    END IF;

    IF claim.task_ids IS NOT NULL THEN
        IF NOT has_any_column_privilege(session_user, 'public.content_generation_tasks', 'UPDATE') THEN
            RAISE EXCEPTION 'login % may not claim tasks by id', session_user
                USING ERRCODE = 'insufficient_privilege',
                      HINT = 'task_ids starts tasks regardless of gates, times and blocked accounts, so it requires the '
                             'right to update tasks. Claim without task_ids.';
        END IF;
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (claim.task_ids)
              AND t.status = 'pending'
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
              AND (claim.categories IS NULL OR t.category = ANY (claim.categories))
            ORDER BY t.id
            LIMIT claim.max_tasks
            FOR UPDATE SKIP LOCKED
        );
    ELSE
        wanted := contentq.worker_room(worker, claim.max_tasks);
        IF wanted <= 0 THEN
            PERFORM contentq.note_look_again(wanted < 0);
            RETURN;
        END IF;
        SELECT r.*
        INTO ready
        FROM contentq.choose_ready(worker.id, wanted, coalesce(claim.categories, worker.categories)) AS r;
        chosen := ready.chosen;
        look_again := ready.look_again OR are_coming AND cardinality(chosen) < wanted;
    END IF;
    IF cardinality(chosen) = 0 THEN
        PERFORM contentq.note_look_again(look_again);
        RETURN;
    -- Ordinary tasks cost no more than this sum. Only tasks with content, a result or errors may need a closer look.
    ELSIF cardinality(chosen) > 1 AND (
        SELECT sum(
            octet_length(t.task_id)
            + coalesce(octet_length(t.topic), 0)
            + coalesce(octet_length(t.keywords), 0)
            + coalesce(octet_length(t.category), 0)
            + coalesce(octet_length(t.requirements), 0)
            + coalesce(octet_length(t.tone), 0)
            + coalesce(octet_length(t.error_message), 0)
            + coalesce(octet_length(t.revision_note), 0)
            + coalesce(octet_length(t.handler_state::text), 0)
            + CASE WHEN t.content_id IS NULL AND t.result IS NULL AND t.attempt_errors = '[]' THEN 2
                   ELSE 16000001 END
        )
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (chosen)
    ) > 16000000
    THEN
        fitting := contentq.fit_claim(chosen);
        IF cardinality(fitting) < cardinality(chosen) THEN
            chosen := fitting;
            -- The tasks left out lie before the places that choose_first() returned, and nobody is notified of them.
            UPDATE contentq.claimers AS c
            SET memory = c.memory - 'places'
            WHERE c.worker_id = (SELECT l.worker_id
                                 FROM contentq.claimers AS l
                                 WHERE l.worker_id = claim.worker_id
                                   AND l.memory ? 'places'
                                 FOR NO KEY UPDATE SKIP LOCKED);
            look_again := true;
        END IF;
    END IF;

    PERFORM contentq.note_look_again(look_again);
    PERFORM contentq.note_calls(worker, cardinality(chosen));

    RETURN QUERY
    WITH claimed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'processing',
            started_at = clock_timestamp(),
            attempt = t.attempt + 1,
            worker_id = claim.worker_id,
            scheduled_at = NULL,
            -- When it became ready for this attempt: at its scheduled time, at ready_at, or when an earlier attempt put it
            -- back.
            ready_at = CASE
                WHEN t.scheduled_at IS NOT NULL
                THEN least(greatest(t.scheduled_at, t.submitted_at), CURRENT_TIMESTAMP)
                WHEN t.started_at IS NULL OR t.ready_at > t.started_at THEN t.ready_at
                ELSE t.updated_at
            END,
            completed_at = NULL,
            cancel_requested_at = NULL,
            progress = NULL,
            progress_note = NULL,
            gate = NULL,
            gate_entered_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (chosen)
        RETURNING t.*
    )
    SELECT c.*
    FROM claimed AS c
    ORDER BY c.priority DESC, c.submitted_at, c.id;
END;
$$;

-- Name: FUNCTION claim(worker_id bigint, max_tasks integer, categories text[], task_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.claim(worker_id bigint, max_tasks integer, categories text[], task_ids bigint[]) IS 'Claims up to max_tasks ready tasks for a worker and returns them. categories: only tasks of these categories. Order: priority DESC, submitted_at, id, unless contentq.settings changes it. The gate of the worker, the gate * and the pauses, caps and budgets of accounts limit the number. The attempt of each row is the fencing token for its reports. task_ids: only these tasks, regardless of gates, scheduled_at and blocked accounts, for logins that may update tasks. Raises CQ001 if the worker is not registered.';

-- Name: cleanup(interval, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cleanup(older_than interval DEFAULT '30 days'::interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    old bigint[];
BEGIN
    old := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'completed'
          AND t.completed_at < now_ - cleanup.older_than
        ORDER BY t.completed_at
        LIMIT cleanup.max_rows
        FOR UPDATE SKIP LOCKED
    );
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

-- Name: FUNCTION cleanup(older_than interval, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cleanup(older_than interval, max_rows integer) IS 'Deletes up to max_rows tasks that completed longer ago than older_than; returns how many.';

-- Name: cleanup_failed(interval, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cleanup_failed(older_than interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    before constant timestamptz := clock_timestamp() - cleanup_failed.older_than;
    old bigint[];
BEGIN
    old := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status IN ('failed', 'timeout')
          AND t.updated_at < before
        ORDER BY t.id
        LIMIT cleanup_failed.max_rows
        FOR UPDATE SKIP LOCKED
    );
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

-- Name: FUNCTION cleanup_failed(older_than interval, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cleanup_failed(older_than interval, max_rows integer) IS 'Deletes up to max_rows tasks that failed or timed out longer ago than older_than; returns how many.';

-- Name: clear_failures(bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.clear_failures(worker_ids bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    failing constant bigint[] := ARRAY(
        SELECT c.worker_id
        FROM contentq.claimers AS c
        WHERE c.worker_id = ANY (clear_failures.worker_ids)
          AND c.quick_failures > 0
        ORDER BY c.worker_id
        FOR NO KEY UPDATE SKIP LOCKED
    );
BEGIN
    IF cardinality(failing) > 0 THEN
        UPDATE contentq.claimers AS c SET quick_failures = 0 WHERE c.worker_id = ANY (failing);
    END IF;
END;
$$;

-- Name: FUNCTION clear_failures(worker_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.clear_failures(worker_ids bigint[]) IS 'Internal: resets the quick failures of workers.';

-- Name: close_batch(bigint, bigint, integer, text, text, interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.close_batch(worker_id bigint, batch_id bigint, tending integer, status text, error text DEFAULT NULL::text, retry_in interval DEFAULT '00:00:00'::interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    again integer;
BEGIN
    PERFORM contentq.hold_batch(close_batch.worker_id, close_batch.batch_id, close_batch.tending);
    DELETE FROM contentq.batch_requests AS r
    WHERE r.batch_id = close_batch.batch_id
      AND r.answered_at IS NULL
      AND NOT EXISTS (SELECT
                      FROM public.content_generation_tasks AS t
                      WHERE t.id = r.id
                        AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt));
    UPDATE contentq.batch_requests AS r
    SET batch_id = NULL,
        due_at = clock_timestamp() + least(greatest(close_batch.retry_in, '0'), '1 day')
    WHERE r.batch_id = close_batch.batch_id
      AND r.answered_at IS NULL;
    GET DIAGNOSTICS again = ROW_COUNT;
    UPDATE contentq.provider_batches AS b
    SET status = contentq.shorten(close_batch.status, 50),
        error = contentq.shorten(close_batch.error, 2000),
        ended_at = clock_timestamp(),
        tended_by = NULL
    WHERE b.id = close_batch.batch_id;
    RETURN again;
END;
$$;

-- Name: FUNCTION close_batch(worker_id bigint, batch_id bigint, tending integer, status text, error text, retry_in interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.close_batch(worker_id bigint, batch_id bigint, tending integer, status text, error text, retry_in interval) IS 'Ends a batch that the worker leases; its unanswered requests go into another batch. Returns how many these are.';

-- Name: close_gate(text, timestamp with time zone, text, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.close_gate(key text, opens_at timestamp with time zone, reason text DEFAULT NULL::text, half_open boolean DEFAULT false) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    may_close_any constant boolean := has_column_privilege(session_user, 'contentq.gates', 'opens_at', 'UPDATE');
    closed_until timestamptz;
BEGIN
    IF coalesce(close_gate.key, '') = '' OR close_gate.opens_at IS NULL THEN
        RAISE EXCEPTION 'closing a gate requires its key and the time at which it opens again'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'To close it without an end, pass ''infinity''; contentq.open_gate() opens it.';
    END IF;
    IF NOT may_close_any AND (
        close_gate.key = '*'
        OR NOT EXISTS (SELECT
                       FROM contentq.workers AS w
                       WHERE (w.gate = close_gate.key OR close_gate.key = ANY (w.gates))
                         AND w.login = session_user)
    ) THEN
        RAISE EXCEPTION 'login % may close only gates of its own workers, and gate % is not one', session_user, close_gate.key
            USING ERRCODE = 'CQ003';
    END IF;
    INSERT INTO contentq.gates AS g (key, opens_at, reason, half_open, closed_at, closed_by)
    VALUES (
        close_gate.key,
        CASE WHEN may_close_any THEN close_gate.opens_at
             ELSE least(close_gate.opens_at, clock_timestamp() + interval '1 hour') END,
        contentq.shorten(close_gate.reason, 500),
        coalesce(close_gate.half_open, false),
        clock_timestamp(),
        concat_ws(', ', session_user, nullif(current_setting('application_name'), ''), inet_client_addr())
    )
    ON CONFLICT ON CONSTRAINT gates_pkey DO UPDATE
    SET opens_at = excluded.opens_at,
        reason = excluded.reason,
        half_open = excluded.half_open,
        closed_at = excluded.closed_at,
        closed_by = excluded.closed_by,
        outage_since = NULL
    WHERE g.opens_at < excluded.opens_at;
    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
    SELECT g.opens_at INTO closed_until FROM contentq.gates AS g WHERE g.key = close_gate.key;
    RETURN closed_until;
END;
$$;

-- Name: FUNCTION close_gate(key text, opens_at timestamp with time zone, reason text, half_open boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.close_gate(key text, opens_at timestamp with time zone, reason text, half_open boolean) IS 'Closes a gate until opens_at (infinity: until someone opens it): no worker registered with it claims; the gate * applies to every worker. A gate that is already closed for longer stays closed. half_open: when it opens, one task of the fleet tries first. Logins of workers may close only gates of their own workers, for at most an hour. Returns the time until which it is closed.';

-- Name: complete(bigint, bigint[], integer[], text[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.complete(worker_id bigint, ids bigint[], attempts integer[], results text[] DEFAULT NULL::text[], content_ids bigint[] DEFAULT NULL::bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    completed bigint[];
    completed_results text[];
    last_began_at timestamptz;
    tokens numeric;
BEGIN
    IF NOT contentq.is_own_worker(complete.worker_id) THEN
        RETURN;
    END IF;
    IF num_nonnulls(VARIADIC complete.content_ids) > 0
        AND NOT has_any_column_privilege(session_user, 'public.contents', 'INSERT')
    THEN
        RAISE EXCEPTION 'login % may not pass content_ids', session_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'content_ids requires the right to insert contents. Use contentq.store(), which stores the content '
                         'and completes the task.';
    END IF;
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt, r.result, r.content_id
        FROM unnest(complete.ids, complete.attempts, complete.results, complete.content_ids)
            AS r (id, attempt, result, content_id)
        ORDER BY r.id
    ),
    counted AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'completed',
            completed_at = clock_timestamp(),
            result = r.result::json,
            content_id = coalesce(r.content_id, t.content_id),
            error_message = NULL,
            revision_note = NULL,
            worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM reported AS r
        WHERE t.id = ANY (ARRAY[r.id])
          AND t.attempt = r.attempt
          AND contentq.is_held(t.status, t.worker_id, complete.worker_id)
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        RETURNING t.id, r.result, t.started_at
    )
    SELECT coalesce(array_agg(c.id), '{}'), array_agg(c.result), max(c.started_at)
    INTO completed, completed_results, last_began_at
    FROM counted AS c;

    IF cardinality(completed) < cardinality(complete.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(complete.worker_id, complete.ids, complete.attempts);
    END IF;

    IF cardinality(completed) > 0
        AND (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = complete.worker_id) > 0
    THEN
        PERFORM contentq.clear_failures(ARRAY[complete.worker_id]);
    END IF;

    -- A cheap test first: most results have no cost.
    IF EXISTS (SELECT
               FROM unnest(completed_results) AS r (result)
               WHERE strpos(r.result, '_tokens"') > 0 OR strpos(r.result, '"cost"') > 0)
        OR cardinality(completed) > 0
           AND (EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                OR EXISTS (SELECT FROM contentq.budgets AS b))
    THEN
        tokens := contentq.add_usage(completed, completed_results);
    END IF;
    PERFORM contentq.note_answers(
        complete.worker_id, cardinality(completed), last_began_at, tokens, completed, completed_results
    );

    -- + 0: contents are found by id, not among all contents of the account.
    IF complete.content_ids IS NOT NULL AND cardinality(completed) > 0 THEN
        WITH produced AS MATERIALIZED (
            SELECT t.id, t.content_id, t.account_id,
                   t.auto_approve AND has_column_privilege(session_user, 'public.contents', 'review_status', 'UPDATE')
                       AS is_approved
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (completed)
              AND t.content_id + 0 = ANY (complete.content_ids)
        )
        UPDATE public.contents AS c
        SET review_status = CASE WHEN p.is_approved AND c.review_status = 'pending' THEN 'approved'
                                 ELSE c.review_status END,
            generation_task_id = coalesce(c.generation_task_id, p.id)
        FROM produced AS p
        WHERE c.id = ANY (ARRAY[p.content_id])
          AND c.account_id + 0 = p.account_id
          AND (c.generation_task_id IS NULL OR p.is_approved AND c.review_status = 'pending');
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

-- Name: FUNCTION complete(worker_id bigint, ids bigint[], attempts integer[], results text[], content_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.complete(worker_id bigint, ids bigint[], attempts integer[], results text[], content_ids bigint[]) IS 'Completes the tasks (ids with their attempts) that this worker still holds. results: JSON as text. content_ids: the content that each task produced. Returns the ids that counted; the others were rescued, requeued, cancelled or past their deadline.';

-- Name: count_at_gate(bigint, text, bigint, bigint, timestamp with time zone, numeric); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.count_at_gate(worker_id bigint, gate text, calls bigint, answered bigint, last_answered timestamp with time zone, tokens numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    -- greatest() ignores NULL.
    UPDATE contentq.gate_counts AS c
    SET calls = c.calls + count_at_gate.calls,
        answered = c.answered + count_at_gate.answered,
        last_answered = greatest(c.last_answered, count_at_gate.last_answered),
        tokens = c.tokens + count_at_gate.tokens
    WHERE c.id = (SELECT l.id
                  FROM contentq.gate_counts AS l
                  WHERE l.gate = count_at_gate.gate
                    AND l.worker_id = count_at_gate.worker_id
                  LIMIT 1
                  FOR NO KEY UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO contentq.gate_counts (worker_id, gate, calls, answered, last_answered, tokens)
        VALUES (count_at_gate.worker_id, count_at_gate.gate, count_at_gate.calls, count_at_gate.answered,
                count_at_gate.last_answered, count_at_gate.tokens);
    END IF;
END;
$$;

-- Name: FUNCTION count_at_gate(worker_id bigint, gate text, calls bigint, answered bigint, last_answered timestamp with time zone, tokens numeric); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.count_at_gate(worker_id bigint, gate text, calls bigint, answered bigint, last_answered timestamp with time zone, tokens numeric) IS 'Internal: adds to the counts of a worker with several gates at one of its gates.';

-- Name: count_failure(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.count_failure(error_class text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    most_classes constant integer := 100;
    class text := coalesce(nullif(left(count_failure.error_class, 200), ''), 'unknown');
BEGIN
    LOOP
        UPDATE contentq.failure_counts AS f
        SET attempts = f.attempts + 1
        WHERE f.ctid = (
            SELECT c.ctid
            FROM contentq.failure_counts AS c
            WHERE c.error_class BETWEEN class AND class
            ORDER BY c.error_class DESC
            LIMIT 1
            FOR NO KEY UPDATE SKIP LOCKED
        );
        EXIT WHEN FOUND;
        IF class = 'other'
            OR EXISTS (SELECT FROM contentq.failure_counts AS c WHERE c.error_class = class)
            OR (SELECT count(DISTINCT c.error_class) FROM contentq.failure_counts AS c) < most_classes
        THEN
            INSERT INTO contentq.failure_counts (error_class, attempts) VALUES (class, 1);
            EXIT;
        END IF;
        class := 'other';
    END LOOP;
END;
$$;

-- Name: FUNCTION count_failure(error_class text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.count_failure(error_class text) IS 'Internal: counts a failed attempt by its error class in failure_counts.';

-- Name: count_matching(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.count_matching(status text DEFAULT NULL::text, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, worker_id bigint DEFAULT NULL::bigint, operation text DEFAULT NULL::text) RETURNS TABLE(task_status text, tasks bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    RETURN QUERY
    SELECT t.status::text, count(*)
    FROM contentq.select_tasks(
        contentq.selected_statuses(count_matching.operation, count_matching.status), count_matching.account_id,
        count_matching.category, count_matching.batch, count_matching.since, count_matching.until, count_matching.error,
        count_matching.worker_id, coalesce(count_matching.operation = 'requeue', false)) AS s (id)
    JOIN public.content_generation_tasks AS t ON t.id = s.id
    GROUP BY t.status
    ORDER BY array_position('{pending,processing,completed,failed,timeout}', t.status::text);
END;
$$;

-- Name: FUNCTION count_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, operation text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.count_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, operation text) IS 'How many tasks match all given selectors, by status; with an operation (requeue, cancel, delete), how many it would change.';

-- Name: delete_matching(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.delete_matching(status text DEFAULT NULL::text, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, worker_id bigint DEFAULT NULL::bigint, after_id bigint DEFAULT NULL::bigint, max_tasks integer DEFAULT 1000) RETURNS TABLE(tasks bigint, last_id bigint, locked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    chosen record;
    changed bigint := 0;
BEGIN
    SELECT c.*
    INTO chosen
    FROM contentq.choose_matching(
        'delete', delete_matching.status, delete_matching.account_id, delete_matching.category, delete_matching.batch,
        delete_matching.since, delete_matching.until, delete_matching.error, delete_matching.worker_id,
        delete_matching.after_id, delete_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (chosen.ids);
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

-- Name: FUNCTION delete_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.delete_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer) IS 'Deletes up to max_tasks tasks above after_id that match all selectors and are not processing; their content stays. Returns how many, the after_id of the next call (NULL at the end), and how many were locked. The selectors are those of matching_tasks().';

-- Name: deregister_worker(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.deregister_worker(worker_id bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
BEGIN
    IF NOT contentq.is_own_worker(deregister_worker.worker_id) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT contentq.release(deregister_worker.worker_id, array_agg(h.id), array_agg(h.attempt))
    FROM contentq.held_attempts(deregister_worker.worker_id, 10000) AS h
    HAVING count(*) > 0;

    PERFORM contentq.forget_worker(deregister_worker.worker_id);
END;
$$;

-- Name: FUNCTION deregister_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.deregister_worker(worker_id bigint) IS 'Removes a worker and releases the tasks that it still holds without charging a retry; returns their ids.';

-- Name: doctor(interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor(patience interval DEFAULT '00:10:00'::interval) RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['definitions', 'ids', 'indexes', 'vacuum', 'sessions', 'server', 'host_tables', 'rights',
                                'prices', 'workers', 'waiting']
    LOOP
        BEGIN
            RETURN QUERY EXECUTE format('SELECT d.* FROM contentq.%I(%s) AS d', 'doctor_' || kind,
                                        CASE WHEN kind = 'sessions' THEN '$1' ELSE '' END)
                USING doctor.patience;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RETURN QUERY SELECT
                    'advice', 'unseen', kind, 'this could not be checked: ' || SQLERRM,
                    'Problems there stay unknown.',
                    'run contentq doctor as the owner of the queue, or as a member of contentq_operator or contentq_reader';
            WHEN OTHERS THEN
                RETURN QUERY SELECT
                    'error', 'check_failed', kind, 'this could not be checked: ' || SQLERRM,
                    'An object that contentq needs is missing or was changed.',
                    'contentq migrate';
        END;
    END LOOP;
END;
$_$;

-- Name: FUNCTION doctor(patience interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor(patience interval) IS 'What is wrong, or soon will be, one row for each finding: severity (error, warning or advice), finding, subject, what was found (detail), why it matters (why), and the command that fixes it (fix). patience: how long a transaction may be open before it is reported.';

-- Name: doctor_definitions(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_definitions() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH present AS MATERIALIZED (
        SELECT 'function' AS kind, p.proname::text AS name,
               md5(pg_get_functiondef(p.oid) || coalesce(obj_description(p.oid, 'pg_proc'), '')) AS digest
        FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('contentq')
          AND p.prokind = 'f'
        UNION ALL
        SELECT 'view', c.relname,
               md5(concat_ws('|', pg_get_viewdef(c.oid), c.reloptions, obj_description(c.oid, 'pg_class')))
        FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace('contentq')
          AND c.relkind = 'v'
        UNION ALL
        SELECT 'trigger', c.relname || '.' || t.tgname,
               md5(concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger')))
        FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_proc AS p ON p.oid = t.tgfoid
        WHERE p.pronamespace = to_regnamespace('contentq')
          AND NOT t.tgisinternal
          AND t.tgparentid = 0
    ),
    wrong AS (
        SELECT d.kind, d.name, f.is_present
        FROM contentq.definitions AS d
        CROSS JOIN LATERAL (
            SELECT count(*) > 0 AS is_present, coalesce(bool_or(p.digest = d.installed), false) AS is_same
            FROM present AS p
            WHERE p.kind = d.kind
              AND p.name = d.name
        ) AS f
        WHERE NOT f.is_same
    )
    SELECT CASE WHEN w.is_present THEN 'warning' ELSE 'error' END,
           CASE WHEN w.is_present THEN 'definition_changed' ELSE 'definition_missing' END,
           w.kind || 's',
           format('%s %s: %s', count(*),
                  CASE WHEN w.is_present THEN 'changed since contentq migrate, or disabled' ELSE 'missing' END,
                  array_to_string((array_agg(w.name ORDER BY w.name))[:10], ', ')
                  || CASE WHEN count(*) > 10 THEN ', ...' ELSE '' END),
           'Programs of this version need them as contentq migrate created them.',
           'contentq migrate'
    FROM wrong AS w
    GROUP BY w.kind, w.is_present
    ORDER BY w.is_present, w.kind;
$$;

-- Name: FUNCTION doctor_definitions(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_definitions() IS 'Internal: findings of doctor() about functions, views and triggers that are missing or changed.';

-- Name: doctor_host_tables(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_host_tables() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH written (names) AS (
        SELECT '{account_id,title,body,word_count,review_status,generation_task_id}'::name[]
    ),
    columns AS (
        SELECT r.tab, a.attname, a.attnum, a.attgenerated,
               r.tab = 'contents' AND a.attname = ANY (w.names) AS is_written,
               (a.attnotnull OR y.typnotnull) AND NOT a.atthasdef AND y.typdefault IS NULL AND a.attidentity = '' AS is_needed,
               coalesce(nullif(a.atttypmod, -1), y.typtypmod) - 4 AS characters
        FROM (VALUES ('contents'), ('content_generation_tasks')) AS r (tab)
        JOIN pg_attribute AS a ON a.attrelid = to_regclass('public.' || r.tab)
        JOIN pg_type AS y ON y.oid = a.atttypid
        CROSS JOIN written AS w
        WHERE a.attnum > 0
          AND NOT a.attisdropped
    )
    SELECT 'error', 'content_refused', 'contents.' || c.attname, 'it is NOT NULL without a default, and contentq does not fill it',
           'No content can be stored: every task fails after its handler has run and its cost is incurred.',
           format('ALTER TABLE public.contents ALTER COLUMN %I DROP NOT NULL, or give it a default', c.attname)
    FROM columns AS c
    WHERE c.tab = 'contents'
      AND NOT c.is_written
      AND c.is_needed
    UNION ALL
    SELECT 'error', 'content_refused', 'contents.' || c.attname, 'it is a generated column, but contentq writes it',
           'No content can be stored: every task fails after its handler has run and its cost is incurred.',
           format('ALTER TABLE public.contents ALTER COLUMN %I DROP EXPRESSION', c.attname)
    FROM columns AS c
    WHERE c.is_written
      AND c.attgenerated <> ''
    UNION ALL
    SELECT 'error', 'content_refused', 'contents.' || c.attname, format('it is limited to %s characters', c.characters),
           'Longer articles cannot be stored: their tasks fail after their handlers have run and their cost is incurred.',
           'ALTER TABLE public.contents ALTER COLUMN body TYPE text'
    FROM columns AS c
    WHERE c.tab = 'contents'
      AND c.attname = 'body'
      AND c.characters BETWEEN 0 AND 999999
    UNION ALL
    SELECT 'error', 'content_refused', i.indexrelid::regclass::text,
           format('contents has this unique index on (%s)', string_agg(a.attname, ', ' ORDER BY k.place)),
           'Content with the same values cannot be stored again: its task fails after its handler has run and its cost is '
           'incurred.',
           format('DROP INDEX %s', i.indexrelid::regclass)
    FROM pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.place <= i.indnkeyatts
    CROSS JOIN written AS w
    WHERE i.indrelid = to_regclass('public.contents')
      AND i.indisunique
      AND i.indexprs IS NULL
    GROUP BY i.indexrelid, w.names
    HAVING bool_and(a.attname = ANY (w.names))
    UNION ALL
    SELECT 'advice', 'task_column_unfilled', 'content_generation_tasks.' || c.attname, 'it is NOT NULL without a default',
           'contentq submit cannot insert tasks; only producers that fill this column can.',
           format('ALTER TABLE public.content_generation_tasks ALTER COLUMN %I SET DEFAULT ..., if other producers insert tasks',
                  c.attname)
    FROM columns AS c
    WHERE c.tab = 'content_generation_tasks'
      AND c.attname <> 'account_id'
      AND c.is_needed
    UNION ALL
    SELECT 'advice', 'row_security', t.table_name, 'row level security is on, but contentq did not enable it',
           'Workers and producers see and change only the rows that a policy allows for their role.',
           'give the logins of workers a policy for all rows, or BYPASSRLS: docs/how-to/adopt-an-application.md'
    FROM contentq.tables AS t
    JOIN pg_class AS c ON c.oid = to_regclass('public.' || t.table_name)
    WHERE c.relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'contentq_all_accounts')
    ORDER BY 2, 3;
$$;

-- Name: FUNCTION doctor_host_tables(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_host_tables() IS 'Internal: findings of doctor() about tables of a host that refuse or hide rows.';

-- Name: doctor_ids(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_ids() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN u.percent >= 80 THEN 'error' ELSE 'warning' END,
           'ids_running_out',
           format('%s.%s', u.tab, u.col),
           format('%s %% of the ids that it can hold are used: %s of %s (%s)', floor(u.percent), u.used, u.most, u.type),
           'When all are used, every INSERT fails.',
           CASE WHEN u.sequence IS NOT NULL
                THEN format('ALTER SEQUENCE %s AS %s MAXVALUE %s', u.sequence,
                            CASE u.largest WHEN 32767 THEN 'smallint' WHEN 2147483647 THEN 'integer' ELSE 'bigint' END,
                            u.largest)
                ELSE 'see docs/how-to/widen-ids.md: as many ids are free below zero, and eight bytes are the lasting fix' END
    FROM contentq.ids_used() AS u
    WHERE u.percent >= 50;
$$;

-- Name: FUNCTION doctor_ids(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_ids() IS 'Internal: findings of doctor() about ids that are running out.';

-- Name: doctor_indexes(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_indexes() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT 'warning', 'index_missing', n.name,
           format('%s has no such index', n.table_name),
           'Queries of contentq that need it read the whole table.',
           format('CREATE INDEX CONCURRENTLY %I ON public.%I %s', n.name, n.table_name, n.definition)
    FROM contentq.needed_indexes AS n
    JOIN contentq.tables AS t ON t.table_name = n.table_name
    WHERE (t.is_created OR n.name <> 'contents_account_id_idx')
      AND NOT EXISTS (
          SELECT
          FROM pg_index AS i
          JOIN pg_class AS c ON c.oid = i.indexrelid
          LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = to_regclass('public.' || n.table_name)
            AND (c.relname = n.name
                 OR NOT t.is_created AND i.indpred IS NULL AND i.indisvalid AND a.attname = n.first_column)
      )
    UNION ALL
    SELECT 'warning', 'index_invalid', c.relname,
           format('the index on %s is never used, but every write still updates it', i.indrelid::regclass),
           'Queries of contentq that need it read the whole table.',
           format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS r ON r.oid = i.indrelid
    WHERE NOT (i.indisvalid AND i.indisready)
      AND (r.relnamespace = to_regnamespace('contentq')
           OR r.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                        to_regclass('public.content_generation_tasks')))
    ORDER BY 2, 3;
$$;

-- Name: FUNCTION doctor_indexes(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_indexes() IS 'Internal: findings of doctor() about missing or invalid indexes.';

-- Name: doctor_prices(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_prices() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH n AS (
        SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
    )
    SELECT CASE WHEN contentq.has_budgets() THEN 'warning' ELSE 'advice' END, 'model_without_price',
           coalesce(nullif(u.model, ''), 'without a name'),
           format('%s tokens in the last 30 days, but no cost', u.tokens),
           'Its cost is not counted, so no budget includes it.',
           'set its price in the settings of the handler openai (contentq prices lists many models); a model with price 0 is '
           'reported too'
    FROM (
        SELECT f.model, sum(f.prompt_tokens + f.completion_tokens) AS tokens
        FROM n
        JOIN contentq.usage AS f ON f.day > n.today - 30 AND f.cost = 0 AND f.prompt_tokens + f.completion_tokens > 0
        GROUP BY f.model
    ) AS u
    WHERE NOT EXISTS (SELECT FROM n JOIN contentq.usage AS p ON p.day > n.today - 30 AND p.cost > 0 AND p.model = u.model)
    ORDER BY u.tokens DESC, u.model
    LIMIT 20;
$$;

-- Name: FUNCTION doctor_prices(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_prices() IS 'Internal: findings of doctor() about models without a price.';

-- Name: doctor_rights(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_rights() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    -- PUBLIC has this right on schema public by default up to PostgreSQL 14, and an upgrade keeps it.
    SELECT 'warning', 'schema_open', n.nspname, format('anyone may create objects in schema %I', n.nspname),
           'Other programs and users of psql may then run them without knowing it.',
           format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname)
    FROM pg_namespace AS n
    WHERE (n.nspname IN ('public', 'contentq') OR n.nspname IN (SELECT t.schema_name FROM contentq.tables AS t))
      AND EXISTS (
          SELECT
          FROM aclexplode(n.nspacl) AS a
          WHERE a.grantee = 0
            AND a.privilege_type = 'CREATE'
      )
    UNION ALL
    -- GRANT ALL includes TRIGGER.
    SELECT 'warning', 'trigger_rights', c.oid::regclass::text,
           format('%s may create triggers on it', string_agg(DISTINCT g.name, ', ' ORDER BY g.name)),
           'A trigger runs with the rights of whoever changes the table, superusers included.',
           format('REVOKE TRIGGER ON %s FROM %s', c.oid::regclass, string_agg(DISTINCT g.name, ', ' ORDER BY g.name))
    FROM pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    CROSS JOIN LATERAL (SELECT coalesce(quote_ident(r.rolname), 'PUBLIC') AS name) AS g
    WHERE c.relkind IN ('r', 'p')
      AND (c.relnamespace = 'contentq'::regnamespace
           OR c.oid IN (SELECT to_regclass(format('%I.%I', t.schema_name, t.table_name)) FROM contentq.tables AS t))
      AND a.privilege_type = 'TRIGGER'
      AND a.grantee <> c.relowner
      AND r.rolsuper IS NOT TRUE
    GROUP BY c.oid
    UNION ALL
    SELECT 'warning', 'functions_open', 'functions',
           format('everyone may execute %s', string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.proname)),
           'Functions of contentq run with the rights of their owner.',
           'contentq migrate'
    FROM pg_proc AS p
    JOIN contentq.definitions AS d ON d.kind = 'function' AND d.name = p.proname
    WHERE p.pronamespace = 'contentq'::regnamespace
      AND p.prosecdef
      AND EXISTS (
          SELECT
          FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
          WHERE a.grantee = 0
      )
    HAVING count(*) > 0
    ORDER BY 2, 3;
$$;

-- Name: FUNCTION doctor_rights(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_rights() IS 'Internal: findings of doctor() about rights that are too wide.';

-- Name: doctor_server(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_server() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH here AS (SELECT d.* FROM pg_database AS d WHERE d.datname = current_database())
    SELECT 'error', 'encoding', current_database()::text, 'its encoding is ' || pg_encoding_to_char(d.encoding),
           'Texts in other languages are refused, and some error messages of contentq too.',
           'dump it and restore it into a database created with: CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0'
    FROM here AS d
    WHERE pg_encoding_to_char(d.encoding) <> 'UTF8'
    UNION ALL
    SELECT 'warning', 'collation_changed', current_database()::text,
           format('its indexes were built with version %s of the collation, but the system has %s', d.datcollversion,
                  coalesce(pg_database_collation_actual_version(d.oid), 'none')),
           'The sort order may have changed since the indexes were built: rows are not found, or appear twice.',
           format('REINDEX DATABASE %I; ALTER DATABASE %I REFRESH COLLATION VERSION', d.datname, d.datname)
    FROM here AS d
    WHERE d.datcollversion IS NOT NULL
      AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
    UNION ALL
    SELECT CASE WHEN q.used >= 0.5 THEN 'error' ELSE 'warning' END, 'notify_queue', 'server',
           format('the notification queue is %s %% full', round(q.used::numeric * 100)),
           'From 50 % on, contentq wakes no workers, so tasks wait for the next poll; when it is full, every transaction with a '
           'NOTIFY fails.',
           'end the session that listens and is in a long transaction (the log of the server names it): '
           'SELECT pid, xact_start, application_name FROM pg_stat_activity WHERE state LIKE ''idle in%'' ORDER BY xact_start'
    FROM (SELECT pg_notification_queue_usage() AS used) AS q
    WHERE q.used >= 0.1
    UNION ALL
    SELECT 'error', 'read_only', current_database()::text,
           CASE WHEN pg_is_in_recovery() THEN 'the server is a standby' ELSE 'its transactions are read-only' END,
           'Nothing can be submitted, claimed or reported here.',
           CASE WHEN pg_is_in_recovery() THEN 'connect to the primary'
                ELSE format('ALTER DATABASE %I RESET default_transaction_read_only (or ALTER ROLE, or the setting of the server)',
                            current_database()) END
    WHERE pg_is_in_recovery()
       OR current_setting('default_transaction_read_only')::boolean
    UNION ALL
    SELECT 'warning', 'connections_used', c.of_what,
           format('%s of %s connections are in use', c.used, c.most),
           'When none is left, workers that lost their connections cannot reconnect, and producers are refused.',
           'use a pooler such as PgBouncer, or raise ' || c.fix
    FROM (
        SELECT 'server' AS of_what, sum(s.numbackends) AS used,
               current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS most,
               'max_connections (needs a restart)' AS fix
        FROM pg_stat_database AS s
        WHERE s.datid <> 0
        UNION ALL
        SELECT d.datname, s.numbackends, d.datconnlimit,
               format('the limit of the database: ALTER DATABASE %I CONNECTION LIMIT ...', d.datname)
        FROM here AS d
        JOIN pg_stat_database AS s ON s.datid = d.oid
        WHERE d.datconnlimit >= 0
    ) AS c
    WHERE c.used >= 0.8 * c.most
    UNION ALL
    SELECT v.severity, 'setting', v.name, format('%s is %s', v.name, current_setting(v.name, true)), v.why, v.fix
    FROM (VALUES
        ('fsync', 'off', 'error',
         'After a crash of the machine, the whole database may be lost.', 'ALTER SYSTEM RESET fsync; SELECT pg_reload_conf()'),
        ('full_page_writes', 'off', 'error',
         'After a crash of the machine, tables may be corrupt.', 'ALTER SYSTEM RESET full_page_writes; SELECT pg_reload_conf()'),
        ('synchronous_commit', 'off', 'advice',
         'After a crash, the latest submitted tasks are lost, and the latest ended ones may run again.',
         'ALTER SYSTEM RESET synchronous_commit; SELECT pg_reload_conf() (or ALTER DATABASE, ALTER ROLE)'),
        ('session_replication_role', 'replica', 'error',
         'No trigger fires: no worker is woken, and no row is checked.',
         format('ALTER DATABASE %I RESET session_replication_role (or ALTER ROLE)', current_database()))
    ) AS v (name, bad, severity, why, fix)
    WHERE current_setting(v.name) = v.bad
    UNION ALL
    SELECT 'warning', 'setting', s.name, format('%s is %s%s', s.name, s.setting, coalesce(' ' || s.unit, '')),
           'It ends idle or long sessions of workers, which then reconnect again and again.',
           format('ALTER ROLE ... SET %s = 0, for the logins of workers', s.name)
    FROM pg_settings AS s
    WHERE s.name IN ('idle_session_timeout', 'transaction_timeout')
      AND s.setting::bigint BETWEEN 1 AND 60000
    UNION ALL
    SELECT 'advice', 'setting', 'shared_buffers',
           format('the indexes of the tasks (%s) do not fit into shared_buffers (%s)', pg_size_pretty(i.size),
                  pg_size_pretty(i.buffers)),
           'Each claim reads some of them; what does not fit is read from disk.',
           'raise shared_buffers, up to a quarter of the memory (needs a restart)'
    FROM (
        SELECT pg_indexes_size('public.content_generation_tasks') AS size,
               pg_size_bytes(current_setting('shared_buffers')) AS buffers
    ) AS i
    WHERE i.size > i.buffers
      AND i.buffers < 1024 * 1024 * 1024;
$$;

-- Name: FUNCTION doctor_server(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_server() IS 'Internal: findings of doctor() about settings of the server and the database.';

-- Name: doctor_sessions(interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_sessions(patience interval) RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH ours AS MATERIALIZED (
        SELECT c.oid
        FROM pg_class AS c
        WHERE c.relkind IN ('r', 'p')
          AND (c.relnamespace = to_regnamespace('contentq')
               OR c.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                            to_regclass('public.content_generation_tasks')))
    ),
    held AS MATERIALIZED (
        SELECT l.pid, string_agg(DISTINCT format('%s (%s)', l.relation::regclass, l.mode), ', ') AS locks
        FROM pg_locks AS l
        JOIN ours AS o ON o.oid = l.relation
        WHERE l.locktype = 'relation'
          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
          AND l.granted
          AND l.mode <> 'AccessShareLock'
        GROUP BY l.pid
    ),
    sessions AS (
        SELECT s.pid, s.state, h.locks, clock_timestamp() - s.xact_start AS age,
               s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL AS keeps_dead_rows,
               (SELECT count(*)
                FROM pg_locks AS w
                WHERE NOT w.granted
                  AND w.locktype = 'transactionid'
                  AND w.transactionid = s.backend_xid) AS waiting
        FROM pg_stat_activity AS s
        LEFT JOIN held AS h ON h.pid = s.pid
        WHERE s.datname = current_database()
          AND s.backend_type = 'client backend'
          AND s.pid <> pg_backend_pid()
          AND s.xact_start < clock_timestamp()
                             - CASE WHEN h.locks IS NULL THEN doctor_sessions.patience
                                    ELSE least(doctor_sessions.patience, interval '1 minute') END
    )
    SELECT 'warning', f.finding, contentq.session_text(s.pid),
           format('its transaction has been open for %s', date_trunc('second', s.age))
           || CASE f.finding
                  WHEN 'rows_locked'
                  THEN format(', and it has locks on %s', s.locks)
                       || CASE WHEN s.waiting > 0 THEN format('; sessions that wait for it: %s', s.waiting) ELSE '' END
                  ELSE ''
              END,
           CASE f.finding
               WHEN 'rows_locked'
               THEN 'Tasks whose rows it has locked can be neither claimed nor reported, and dead rows stay until it ends.'
               WHEN 'old_snapshot'
               THEN 'Dead rows created since then cannot be removed from any table: claims get slower until it ends.'
               ELSE 'It does nothing, but may block a migration.'
           END,
           format('SELECT pg_terminate_backend(%s)', s.pid)
           || CASE WHEN s.state LIKE 'idle in transaction%'
                   THEN format('; to prevent it: ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''10min''',
                               current_database())
                   ELSE '' END
    FROM sessions AS s
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.locks IS NOT NULL THEN 'rows_locked'
                    WHEN s.keeps_dead_rows THEN 'old_snapshot'
                    WHEN s.state LIKE 'idle in transaction%' THEN 'idle_transaction' END AS finding
    ) AS f
    WHERE f.finding IS NOT NULL
    UNION ALL
    SELECT 'warning', 'old_snapshot', format('prepared transaction %L', p.gid),
           format('prepared %s ago by %s, and neither committed nor rolled back',
                  date_trunc('second', clock_timestamp() - p.prepared), p.owner),
           'Dead rows created since then cannot be removed from any table, and its locks stay, even after a restart.',
           format('COMMIT PREPARED %L, or ROLLBACK PREPARED %L', p.gid, p.gid)
    FROM pg_prepared_xacts AS p
    WHERE p.database = current_database()
      AND p.prepared < clock_timestamp() - doctor_sessions.patience
    UNION ALL
    SELECT 'warning', 'old_snapshot', format('replication slot %I', r.slot_name),
           format('%s, and it keeps dead rows of the last %s transactions',
                  CASE WHEN r.active THEN 'in use' ELSE 'not in use' END, age(r.xmin)),
           'Dead rows created since then cannot be removed from any table: claims get slower until it ends.',
           CASE WHEN r.active THEN 'look for long queries on the standby that uses it'
                ELSE format('if its standby is gone for good: SELECT pg_drop_replication_slot(%L)', r.slot_name) END
    FROM pg_replication_slots AS r
    WHERE r.xmin IS NOT NULL
      AND (NOT r.active OR age(r.xmin) > 10000000)
    UNION ALL
    SELECT 'advice', 'unseen', 'sessions', format('%s may not see how long sessions of other users have been open', session_user),
           'Long transactions of other users stay unknown.',
           format('GRANT pg_read_all_stats TO %I', session_user)
    WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE')
    ORDER BY 2, 3;
$$;

-- Name: FUNCTION doctor_sessions(patience interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_sessions(patience interval) IS 'Internal: findings of doctor() about long transactions.';

-- Name: doctor_vacuum(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_vacuum() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH ours AS (
        SELECT c.oid, c.oid::regclass AS name, c.reloptions
        FROM pg_class AS c
        WHERE c.relkind = 'r'
          AND (c.relnamespace = to_regnamespace('contentq')
               OR c.oid IN (to_regclass('public.accounts'), to_regclass('public.contents'),
                            to_regclass('public.content_generation_tasks')))
    )
    SELECT 'error', 'autovacuum_off', 'server', format('%s is off', s.name),
           'Dead rows stay, and every query of contentq gets slower from day to day.',
           format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf(); if it is off for this database or role only: '
                  'ALTER DATABASE %I RESET %s', s.name, current_database(), s.name)
    FROM (VALUES ('autovacuum'), ('track_counts')) AS s (name)
    WHERE current_setting(s.name) = 'off'
    UNION ALL
    SELECT 'warning', 'autovacuum_off', o.name::text, 'autovacuum is disabled for this table',
           'Dead rows stay, and queries of this table get slower from day to day.',
           format('ALTER TABLE %s RESET (autovacuum_enabled)', o.name)
    FROM ours AS o
    CROSS JOIN LATERAL pg_options_to_table(o.reloptions) AS p
    WHERE p.option_name = 'autovacuum_enabled'
      AND NOT p.option_value::boolean
    UNION ALL
    SELECT 'warning', 'dead_rows', o.name::text,
           format('%s dead rows and %s live ones; last autovacuum: %s', s.n_dead_tup, s.n_live_tup,
                  coalesce(to_char(s.last_autovacuum AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'never')),
           'Claims and views read past them. More than a fifth of a table means that autovacuum is behind, or that an old snapshot '
           'keeps them.',
           format('VACUUM (ANALYZE, VERBOSE) %s; if its output says that dead rows cannot be removed yet, end the transaction of '
                  'the finding old_snapshot', o.name)
    FROM ours AS o
    JOIN pg_stat_all_tables AS s ON s.relid = o.oid
    WHERE s.n_dead_tup >= 10000
      AND s.n_dead_tup > 0.4 * s.n_live_tup;
$$;

-- Name: FUNCTION doctor_vacuum(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_vacuum() IS 'Internal: findings of doctor() about dead rows and autovacuum.';

-- Name: doctor_waiting(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_waiting() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- Constants: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    live constant contentq.workers[] := ARRAY(
        SELECT w
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        WHERE w.heartbeat_at >= now_ - s.heartbeat_timeout
          AND NOT w.draining
    );
    shut constant text[] := ARRAY(SELECT g.key FROM contentq.gates AS g WHERE g.opens_at > now_ + interval '1 day');
    put_off record;
    reviews record;
BEGIN
    IF row_security_active('public.content_generation_tasks') THEN
        RETURN QUERY SELECT
            'advice', 'unseen', 'tasks', format('%s may see only the tasks of some accounts', session_user),
            'Problems of the other tasks stay unknown.', 'run contentq doctor as a member of contentq_operator';
    END IF;

    RETURN QUERY
    WITH RECURSIVE ready AS (
        (SELECT p.priority, f.category, f.task_id, f.since
         FROM generate_series(1, 10) AS p (priority)
         CROSS JOIN LATERAL (
             SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NULL
               AND t.category IS NOT NULL
               AND (10 - t.priority) = 10 - p.priority
             ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
             LIMIT 1
         ) AS f)
        UNION ALL
        SELECT r.priority, n.category, n.task_id, n.since
        FROM ready AS r
        CROSS JOIN LATERAL (
            SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NOT NULL
              AND (10 - t.priority) = 10 - r.priority
              AND t.category > r.category
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT 1
        ) AS n
    ),
    heads AS MATERIALIZED (
        (SELECT r.* FROM ready AS r LIMIT 2000)
        UNION ALL
        SELECT p.priority, f.category, f.task_id, f.since
        FROM generate_series(1, 10) AS p (priority)
        CROSS JOIN LATERAL (
            SELECT t.category, t.task_id, coalesce(t.ready_at, t.submitted_at) AS since
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NULL
              AND (10 - t.priority) = 10 - p.priority
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT 1
        ) AS f
    ),
    judged AS (
        SELECT h.*,
               coalesce(quote_literal(h.category), 'without a category') AS category_name,
               CASE
                   WHEN cardinality(live) = 0 THEN 'no_live_worker'
                   WHEN c.suiting = 0 THEN 'tasks_nobody_claims'
                   WHEN c.open = 0 THEN 'tasks_behind_closed_gates'
                   ELSE 'tasks_wait'
               END AS finding
        FROM heads AS h
        CROSS JOIN LATERAL (
            SELECT count(*) AS suiting,
                   count(*) FILTER (WHERE '*' <> ALL (shut)
                                      AND CASE WHEN w.gates IS NULL THEN coalesce(w.gate, '') <> ALL (shut)
                                               ELSE NOT w.gates <@ shut END) AS open
            FROM unnest(live) AS w
            WHERE coalesce(w.categories IS NULL OR h.category = ANY (w.categories), false)
        ) AS c
    ),
    told AS (
        SELECT j.finding,
               array_to_string((array_agg(DISTINCT j.category_name))[:10], ', ')
               || CASE WHEN count(DISTINCT j.category_name) > 10 THEN ', ...' ELSE '' END AS categories,
               count(DISTINCT j.category_name) AS number,
               min(j.since) AS since,
               (array_agg(j.task_id ORDER BY j.since, j.task_id))[1] AS task_id
        FROM judged AS j
        WHERE j.since < now_ - CASE j.finding WHEN 'tasks_wait' THEN interval '1 hour' ELSE interval '1 minute' END
        GROUP BY j.finding
    )
    SELECT CASE t.finding WHEN 'no_live_worker' THEN 'error' WHEN 'tasks_wait' THEN 'advice' ELSE 'warning' END,
           t.finding,
           CASE WHEN t.finding IN ('no_live_worker', 'tasks_wait') THEN 'tasks'
                ELSE format('categories: %s', t.number) END,
           format('ready tasks (%s), the oldest for %s: %s', t.categories, date_trunc('second', now_ - t.since), t.task_id)
           || CASE t.finding
                  WHEN 'tasks_nobody_claims' THEN '; no live worker claims them'
                  WHEN 'tasks_behind_closed_gates'
                  THEN format('; the gates of all workers that claim them are closed for more than a day: %s',
                              array_to_string(shut[:10], ', '))
                  WHEN 'no_live_worker' THEN '; there is no live worker'
                  ELSE '' END,
           CASE t.finding
               WHEN 'tasks_wait' THEN 'There may be too few workers, or a pause, cap or budget of an account blocks them.'
               ELSE 'They wait until someone acts.' END,
           CASE t.finding
               WHEN 'no_live_worker' THEN 'contentq worker'
               WHEN 'tasks_nobody_claims' THEN 'start a worker that claims them: contentq worker --category ...'
               WHEN 'tasks_behind_closed_gates' THEN 'contentq resume --gate ...'
               ELSE format('contentq explain %s', t.task_id) END
    FROM told AS t
    ORDER BY t.finding;

    SELECT count(*) AS read, count(*) FILTER (WHERE f.failed) AS number, max(p.scheduled_at) FILTER (WHERE f.failed) AS until,
           (array_agg(p.task_id ORDER BY p.scheduled_at DESC) FILTER (WHERE f.failed))[1] AS task_id
    INTO put_off
    FROM (
        SELECT t.task_id, t.scheduled_at, t.attempt, t.error_message, t.handler_state
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at > now_ + (SELECT greatest(s.backoff_max, interval '1 hour') FROM contentq.settings AS s)
        ORDER BY t.scheduled_at DESC, t.priority, t.submitted_at DESC, t.id DESC
        LIMIT 10000
    ) AS p
    CROSS JOIN LATERAL (
        SELECT p.attempt > 0 AND p.error_message IS NOT NULL AND NOT coalesce(p.handler_state ? 'asked_by_attempt', false)
                   AS failed
    ) AS f;
    IF put_off.number > 0 THEN
        RETURN QUERY SELECT
            'advice', 'retries_put_off', format('tasks: %s%s', put_off.number, CASE WHEN put_off.read = 10000 THEN ' or more' ELSE '' END),
            format('the last attempt failed, and the next is later than any backoff: the latest at %s (%s)',
                   date_trunc('second', put_off.until), put_off.task_id),
            'The cause may be gone by now.',
            format('contentq explain %s; to make it ready: UPDATE public.content_generation_tasks SET scheduled_at = NULL '
                   'WHERE task_id = %L', put_off.task_id, put_off.task_id);
    END IF;

    SELECT count(*) AS read, count(*) FILTER (WHERE f.waits) AS number, min(p.created_at) FILTER (WHERE f.waits) AS since,
           (array_agg(p.id ORDER BY p.created_at, p.id) FILTER (WHERE f.waits))[1] AS id
    INTO reviews
    FROM (
        SELECT c.id, c.created_at::timestamptz AS created_at, c.generation_task_id
        FROM public.contents AS c
        WHERE c.review_status = 'pending'
        ORDER BY c.id + 0
        LIMIT 1000
    ) AS p
    CROSS JOIN LATERAL (
        SELECT p.generation_task_id IS NOT NULL AND p.created_at < now_ - interval '7 days' AS waits
    ) AS f;
    IF reviews.number > 0 THEN
        RETURN QUERY SELECT
            'advice', 'reviews_wait', format('contents: %s%s', reviews.number, CASE WHEN reviews.read = 1000 THEN ' or more' ELSE '' END),
            format('waiting for review for more than 7 days; content %s for %s', reviews.id,
                   date_trunc('second', now_ - reviews.since)),
            'Nobody reads content that was generated and paid for.',
            'SELECT content_id, title FROM contentq.review_queue; then contentq.approve(content_id) or contentq.reject(content_id)';
    END IF;
END;
$$;

-- Name: FUNCTION doctor_waiting(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_waiting() IS 'Internal: findings of doctor() about tasks, retries and reviews that wait.';

-- Name: doctor_workers(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.doctor_workers() RETURNS TABLE(severity text, finding text, subject text, detail text, why text, fix text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH now_ AS MATERIALIZED (SELECT clock_timestamp() AS at),
    silent AS (
        SELECT count(*) AS number, min(w.heartbeat_at) AS since,
               (array_agg(format('%s (%s, pid %s)', w.id, w.hostname, w.pid) ORDER BY w.heartbeat_at))[:5] AS first_ones,
               sum((SELECT count(*)
                    FROM public.content_generation_tasks AS t
                    WHERE t.worker_id = w.id
                      AND t.status = 'processing')) AS tasks
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        CROSS JOIN now_ AS n
        -- A live worker rescues them within seconds.
        WHERE w.heartbeat_at < n.at - s.heartbeat_timeout - interval '10 seconds'
    )
    SELECT 'warning', 'worker_silent', format('workers: %s', s.number),
           format('no heartbeat for up to %s, running tasks: %s; workers: %s%s', date_trunc('second', n.at - s.since), s.tasks,
                  array_to_string(s.first_ones, ', '), CASE WHEN s.number > 5 THEN ', ...' ELSE '' END),
           'Their tasks stay processing until they are rescued, which any live worker does.',
           CASE WHEN s.tasks > 0 THEN 'start a worker, or run: contentq maintain' ELSE 'contentq maintain' END
    FROM silent AS s
    CROSS JOIN now_ AS n
    WHERE s.number > 0
    UNION ALL
    SELECT 'warning', 'maintenance_late', 'contentq.maintenance',
           CASE WHEN isfinite(m.ran_at) THEN format('it last ran %s ago', date_trunc('second', n.at - m.ran_at))
                ELSE 'it has never run' END
           || CASE WHEN m.xmax <> '0' THEN format('; its row was last locked by %s', contentq.lock_holder(m.xmax)) ELSE '' END,
           'Deadlines, rescues, scheduled tasks and clean-up are delayed although workers are alive.',
           'contentq maintain; if it does not return, end the session that has locked its row'
    FROM contentq.maintenance AS m
    CROSS JOIN now_ AS n
    WHERE m.ran_at < n.at - interval '1 minute'
      AND EXISTS (
          SELECT
          FROM contentq.workers AS w
          CROSS JOIN contentq.settings AS s
          WHERE w.heartbeat_at >= n.at - s.heartbeat_timeout
            AND w.started_at < n.at - interval '1 minute'
      )
    UNION ALL
    SELECT 'warning', 'clock_went_back', 'server',
           format('%s was at %s, which is in the future', f.what, date_trunc('second', f.latest)),
           'Deadlines and heartbeats use the clock of the server: dead workers are found late, and due tasks wait.',
           'set the clock of the server and synchronize it with NTP; then wait until that time has passed'
    FROM (
        SELECT 'the last heartbeat of a worker' AS what, max(w.heartbeat_at) AS latest
        FROM contentq.workers AS w
        UNION ALL
        SELECT 'the last maintenance', max(m.ran_at)
        FROM contentq.maintenance AS m
    ) AS f
    CROSS JOIN now_ AS n
    WHERE f.latest > n.at + interval '5 seconds';
$$;

-- Name: FUNCTION doctor_workers(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.doctor_workers() IS 'Internal: findings of doctor() about workers without a heartbeat, late maintenance and the clock.';

-- Name: drain_worker(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.drain_worker(worker_id bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    UPDATE contentq.workers
    SET draining = true
    WHERE id = drain_worker.worker_id
      AND contentq.is_own_worker(drain_worker.worker_id);
$$;

-- Name: FUNCTION drain_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.drain_worker(worker_id bigint) IS 'Marks a worker as draining: it claims no more tasks; its running tasks may still end.';

-- Name: earlier_content(bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.earlier_content(content_id bigint, account_id bigint) RETURNS json
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT json_build_array(c.id, c.title, c.body, c.word_count, c.review_status)
        FROM public.contents AS c
        WHERE c.id = earlier_content.content_id
          AND c.account_id + 0 = earlier_content.account_id
    );
END;
$$;

-- Name: FUNCTION earlier_content(content_id bigint, account_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.earlier_content(content_id bigint, account_id bigint) IS 'Internal: the content of an earlier attempt at a task, even if it was committed after the claim began.';

-- Name: end_cancelled_or_overdue(bigint, bigint[], integer[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids bigint[], attempts integer[]) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET enable_sort TO 'on'
    AS $$
#variable_conflict use_column
BEGIN
    -- A separate statement takes the locks first: it waits for a cancel that is about to commit, so that the following
    -- statements see it.
    PERFORM t.id
    FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
    WHERE contentq.is_held(t.status, t.worker_id, end_cancelled_or_overdue.worker_id)
    ORDER BY r.id
    FOR NO KEY UPDATE OF t;

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(end_cancelled_or_overdue.ids, end_cancelled_or_overdue.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'failed' ELSE 'timeout' END,
        error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                             ELSE 'Task execution timeout' END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id])
      AND t.attempt = r.attempt
      AND contentq.is_held(t.status, t.worker_id, end_cancelled_or_overdue.worker_id)
      AND (t.cancel_requested_at IS NOT NULL OR t.timeout_at <= clock_timestamp())
    RETURNING t.id::bigint;
END;
$$;

-- Name: FUNCTION end_cancelled_or_overdue(worker_id bigint, ids bigint[], attempts integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids bigint[], attempts integer[]) IS 'Internal: ends those of a worker''s tasks that were cancelled or are past their deadline; returns their ids.';

-- Name: gates; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.gates (
    key text NOT NULL,
    opens_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    reason text,
    half_open boolean DEFAULT false NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    requests_per_minute numeric,
    tokens_per_minute numeric,
    max_running integer,
    peak double precision,
    grown double precision DEFAULT 0 NOT NULL,
    is_ramping boolean DEFAULT false NOT NULL,
    cap integer,
    cap_is_known boolean DEFAULT false NOT NULL,
    cap_was_refused boolean DEFAULT false NOT NULL,
    cap_tried_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    cut_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    cut_calls bigint DEFAULT 0 NOT NULL,
    cut_from double precision,
    cut_running integer,
    most_running integer DEFAULT 0 NOT NULL,
    cut_share double precision,
    cut_twice boolean DEFAULT false NOT NULL,
    noise double precision DEFAULT 0 NOT NULL,
    noise_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    outage_since timestamp with time zone,
    level double precision DEFAULT 1 NOT NULL,
    spent_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    tokens_left double precision,
    tokens_seen numeric DEFAULT 0 NOT NULL,
    folded_id bigint DEFAULT 0 NOT NULL,
    CONSTRAINT gates_closed_at_check CHECK (isfinite(closed_at)),
    CONSTRAINT gates_key_check CHECK ((key <> ''::text)),
    CONSTRAINT gates_max_running_check CHECK ((max_running > 0)),
    CONSTRAINT gates_requests_per_minute_check CHECK (((requests_per_minute >= 0.0001) AND (requests_per_minute <= '1000000000'::numeric))),
    CONSTRAINT gates_tokens_per_minute_check CHECK (((tokens_per_minute >= 0.0001) AND (tokens_per_minute <= '1000000000000'::numeric)))
)
WITH (fillfactor='50');

-- Name: TABLE gates; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.gates IS 'Limits and state of providers: how many tasks of the workers registered with a gate may start now. A gate that was never set or closed, and for which no refusal was reported, has no row.';

-- Name: COLUMN gates.key; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.key IS 'The name that workers register with, such as the host of a provider; * applies to every worker.';

-- Name: COLUMN gates.opens_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.opens_at IS 'Its workers claim nothing before this time; infinity: until someone calls open_gate().';

-- Name: COLUMN gates.reason; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.reason IS 'Why it was last closed, up to 500 characters.';

-- Name: COLUMN gates.half_open; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.half_open IS 'Whether, when it opens, one task of the fleet must first show that the provider answers.';

-- Name: COLUMN gates.closed_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.closed_at IS 'When it was last closed.';

-- Name: COLUMN gates.closed_by; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.closed_by IS 'Who closed it: user, program, address; contentq: reports about the provider.';

-- Name: COLUMN gates.requests_per_minute; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.requests_per_minute IS 'Set by operators: how many tasks may start per minute.';

-- Name: COLUMN gates.tokens_per_minute; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.tokens_per_minute IS 'Set by operators: how many tokens tasks may use per minute, as their results report (prompt_tokens, completion_tokens).';

-- Name: COLUMN gates.max_running; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.max_running IS 'Set by operators: how many tasks of its workers may run at once.';

-- Name: COLUMN gates.peak; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.peak IS 'Learned: tasks per second that the provider accepted when refusals last cut the pace; NULL: no limit.';

-- Name: COLUMN gates.grown; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.grown IS 'Seconds in which the pace, or the cap, was the limit since it was cut; they determine how much it has grown.';

-- Name: COLUMN gates.is_ramping; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.is_ramping IS 'Whether the pace doubles each second because the limit is not well known yet.';

-- Name: COLUMN gates.cap; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cap IS 'Learned: how many tasks of its workers may run at once; NULL: nothing learned, or a pace.';

-- Name: COLUMN gates.cap_is_known; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cap_is_known IS 'Whether the provider has refused one more task than the cap in a trial.';

-- Name: COLUMN gates.cap_was_refused; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cap_was_refused IS 'Whether the provider has refused one more task once in this trial; the second time confirms the cap.';

-- Name: COLUMN gates.cap_tried_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cap_tried_at IS 'When a cap turned out to be no limit; the next one is tried a minute later at the earliest.';

-- Name: COLUMN gates.cut_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_at IS 'When the pace was last cut or a trial of the cap began, or when the pace was restored after a trial; refusals of attempts that began earlier are not counted.';

-- Name: COLUMN gates.cut_calls; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_calls IS 'How many tasks its workers had claimed at that time.';

-- Name: COLUMN gates.cut_from; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_from IS 'The pace before the cut, in tasks per second; NULL: no limit.';

-- Name: COLUMN gates.cut_running; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_running IS 'How many tasks ran at the last cut when the provider refused one more.';

-- Name: COLUMN gates.most_running; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.most_running IS 'How many tasks ran at once at most since the last cut.';

-- Name: COLUMN gates.cut_share; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_share IS 'The share of calls refused before the cut, while it is not known whether the cut helped.';

-- Name: COLUMN gates.cut_twice; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.cut_twice IS 'Whether the pace was cut a second time to find that out.';

-- Name: COLUMN gates.noise; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.noise IS 'The share of calls that the provider refuses at any pace.';

-- Name: COLUMN gates.noise_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.noise_at IS 'When noise was measured; it counts for five minutes.';

-- Name: COLUMN gates.outage_since; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.outage_since IS 'Since when the provider has answered nothing; NULL if it answers.';

-- Name: COLUMN gates.level; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.level IS 'Token bucket: how many tasks could start at spent_at.';

-- Name: COLUMN gates.spent_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.spent_at IS 'When tasks were last taken from the bucket.';

-- Name: COLUMN gates.tokens_left; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.tokens_left IS 'How many tokens could be used at spent_at.';

-- Name: COLUMN gates.tokens_seen; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.tokens_seen IS 'Tokens that tasks of its workers had used at spent_at, including those expected of running tasks.';

-- Name: COLUMN gates.folded_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.folded_id IS 'The id of the last row of gate_events that this row includes.';

-- Name: end_cap(contentq.gates, bigint, boolean, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.end_cap(gate contentq.gates, calls bigint, is_raised boolean, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF is_raised OR NOT gate.cap_is_known THEN
        gate.cap_tried_at := now_;
    END IF;
    gate.grown := 0;
    IF gate.cap_is_known THEN
        gate.peak := greatest(
            0.01,
            (calls - gate.cut_calls - contentq.gate_refused(gate)) / greatest(1, extract(epoch FROM now_ - gate.cut_at)),
            contentq.gate_rate(gate.key, now_),
            contentq.gate_running(gate.key, now_ - interval '1050 milliseconds', now_ - interval '50 milliseconds')
        );
        gate.grown := CASE WHEN is_raised THEN 2 * contentq.gate_cycle(gate.peak) ELSE 0 END;
    END IF;
    gate.cap := NULL;
    gate.cap_is_known := false;
    gate.cap_was_refused := false;
    gate.cut_running := NULL;
    gate.cut_at := now_;
    gate.cut_calls := calls;
    RETURN gate;
END;
$$;

-- Name: FUNCTION end_cap(gate contentq.gates, calls bigint, is_raised boolean, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.end_cap(gate contentq.gates, calls bigint, is_raised boolean, now_ timestamp with time zone) IS 'Internal: the row of a gate whose provider does not limit the tasks at once, or no longer to the learned cap.';

-- Name: end_trial(contentq.gates, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.end_trial(gate contentq.gates, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    gate.cut_share := NULL;
    gate.noise := 0;
    gate.noise_at := now_;
    IF gate.cut_twice THEN
        gate.peak := 0.92 / 0.75 * gate.peak;
        gate.grown := 0;
    END IF;
    RETURN gate;
END;
$$;

-- Name: FUNCTION end_trial(gate contentq.gates, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.end_trial(gate contentq.gates, now_ timestamp with time zone) IS 'Internal: records that the refusals of a provider depend on the pace.';

-- Name: enter_gate(bigint, bigint, integer, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.enter_gate(worker_id bigint, id bigint, attempt integer, keys text[], OUT gate text, OUT next_in interval, OUT why text[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    own_gates text[];
    task public.content_generation_tasks;
    each text;
    room integer;
    has_waited boolean := false;
    here_in interval;
    here_why text;
BEGIN
    PERFORM contentq.is_own_worker(enter_gate.worker_id);
    IF num_nonnulls(VARIADIC enter_gate.keys) < greatest(cardinality(enter_gate.keys), 1) THEN
        RAISE EXCEPTION 'no key given, or a key is NULL: name the gates that the task may enter'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT w.gates INTO own_gates FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id;
    IF NOT enter_gate.keys <@ coalesce(own_gates, '{}') AND EXISTS (
        SELECT FROM contentq.workers AS w WHERE w.id = enter_gate.worker_id
    ) THEN
        RAISE EXCEPTION 'worker % is registered with gates %, not with %', enter_gate.worker_id,
            coalesce(own_gates::text, '{}'), enter_gate.keys
            USING ERRCODE = 'CQ003',
                  HINT = 'Pass every gate that its tasks may enter to contentq.register_worker(..., gates => ARRAY[...]).';
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = enter_gate.id
      AND t.attempt = enter_gate.attempt
      AND contentq.is_held(t.status, t.worker_id, enter_gate.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        why := ARRAY['the worker no longer holds this attempt'];
        RETURN;
    ELSIF task.cancel_requested_at IS NOT NULL OR task.timeout_at <= clock_timestamp() THEN
        next_in := interval '0';
        why := ARRAY[CASE WHEN task.cancel_requested_at IS NOT NULL THEN 'it was cancelled' ELSE 'its deadline has passed' END];
        RETURN;
    ELSIF task.gate = ANY (enter_gate.keys) THEN
        gate := task.gate;
        RETURN;
    END IF;

    FOREACH each IN ARRAY enter_gate.keys LOOP
        -- Checked without a lock first: a gate that is closed, at its pace or at its cap nearly always stays so under the
        -- lock.
        SELECT w.next_in, w.why INTO here_in, here_why FROM contentq.gate_wait(each) AS w;
        IF NOT FOUND THEN
            room := contentq.gate_room(each, 1);
            IF room < 0 AND NOT has_waited THEN
                room := contentq.wait_for_gate(each);
            END IF;
            has_waited := true;
            IF room > 0 THEN
                PERFORM contentq.count_at_gate(enter_gate.worker_id, each, 1, 0, NULL, 0);
                PERFORM contentq.spend_gate(each, 1);
                UPDATE public.content_generation_tasks AS t
                SET gate = each,
                    gate_entered_at = clock_timestamp(),
                    updated_at = CURRENT_TIMESTAMP
                WHERE t.id = task.id;
                gate := each;
                next_in := NULL;
                RETURN;
            ELSIF room < 0 THEN
                here_in := interval '5 milliseconds';
                here_why := format('gate %s: another session has locked its row', each);
            ELSE
                SELECT w.next_in, w.why INTO here_in, here_why FROM contentq.gate_wait(each) AS w;
                IF NOT FOUND THEN
                    here_in := interval '0';
                    here_why := format('gate %s: its turn has just come', each);
                END IF;
            END IF;
        END IF;
        next_in := least(next_in, here_in);
        why := why || here_why;
    END LOOP;
END;
$$;

-- Name: FUNCTION enter_gate(worker_id bigint, id bigint, attempt integer, keys text[], OUT gate text, OUT next_in interval, OUT why text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.enter_gate(worker_id bigint, id bigint, attempt integer, keys text[], OUT gate text, OUT next_in interval, OUT why text[]) IS 'Lets a running task of a worker with several gates pass the first of these gates that has room, and counts it there. Returns the gate, or NULL, the time until one may have room, and the reasons of the gates before it. A gate that the attempt has entered and not left lets it pass again without counting it again.';

-- Name: error_group(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.error_group(message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT btrim(left(regexp_replace(regexp_replace(regexp_replace(
        left(error_group.message, 500),
        -- A group of a uuid may have no digit.
        '\m[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\M|\w*[0-9]\w*([.:,/-]\w*[0-9]\w*)*',
        '#', 'g'),
        -- A single quote, not an apostrophe.
        '"[^"]*"|`[^`]*`|(?<!\w)''[^'']*''(?!\w)|\u201c[^\u201d]*\u201d|\u2018[^\u2019]*\u2019|\u300c[^\u300d]*\u300d'
        '|\u300e[^\u300f]*\u300f|\u300a[^\u300b]*\u300b|\u00ab[^\u00bb]*\u00bb',
        '<text>', 'g'),
        '[\x01-\x1f]+ *|  +', ' ', 'g'), 200));
$$;

-- Name: FUNCTION error_group(message text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.error_group(message text) IS 'An error message without what differs from task to task: quoted text, numbers and ids are replaced, so that messages of one kind are equal.';

-- Name: explain(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain(task_id text) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    task public.content_generation_tasks;
    held_by record;
BEGIN
    SELECT t.* INTO task FROM public.content_generation_tasks AS t WHERE t.task_id = explain.task_id;
    IF NOT FOUND THEN
        RETURN NEXT format('there is no task %s', explain.task_id);
        RETURN;
    END IF;

    IF task.status = 'processing' THEN
        SELECT w.id, w.hostname, w.pid, w.heartbeat_at < now_ - s.heartbeat_timeout AS is_silent,
               now_ - w.heartbeat_at AS silence
        INTO held_by
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        WHERE w.id = task.worker_id;
        RETURN NEXT format('it is running: attempt %s started %s ago', task.attempt,
                           date_trunc('second', now_ - task.started_at));
        IF task.worker_id IS NULL OR held_by.id IS NULL THEN
            RETURN NEXT 'no worker holds it: it was set to processing by hand, and only that session or its deadline ends it';
            RETURN NEXT 'if nobody is working on it: contentq cancel, then contentq requeue';
        ELSIF held_by.is_silent THEN
            RETURN NEXT format('its worker %s (%s, pid %s) has sent no heartbeat for %s: the task will be rescued',
                               held_by.id, held_by.hostname, held_by.pid, date_trunc('second', held_by.silence));
        ELSE
            RETURN NEXT format('worker %s (%s, pid %s) holds it', held_by.id, held_by.hostname, held_by.pid);
        END IF;
        IF task.gate IS NOT NULL THEN
            RETURN NEXT format('it entered gate %s %s ago', task.gate, date_trunc('second', now_ - task.gate_entered_at));
        END IF;
        IF task.progress IS NOT NULL OR task.progress_note IS NOT NULL THEN
            RETURN NEXT 'progress: ' || concat_ws(', ', round((task.progress * 100)::numeric) || ' %',
                                                  task.progress_note);
        END IF;
        IF task.cancel_requested_at IS NOT NULL THEN
            RETURN NEXT 'it was cancelled: its worker is stopping it';
        ELSIF task.timeout_at IS NOT NULL THEN
            RETURN NEXT format('its deadline is %s', date_trunc('second', task.timeout_at));
        END IF;
    ELSIF task.status <> 'pending' THEN
        RETURN NEXT format('it has ended: %s, %s', task.status,
                           date_trunc('second', coalesce(task.completed_at, task.updated_at)));
        IF task.status <> 'completed' THEN
            RETURN NEXT format('reason: %s', coalesce(task.error_message, 'none was given'));
            RETURN NEXT format('to requeue it: contentq requeue, or SELECT contentq.requeue(%L)', task.task_id);
        ELSIF EXISTS (SELECT
                      FROM public.contents AS c
                      WHERE c.id = task.content_id
                        AND c.account_id + 0 = task.account_id
                        AND c.review_status = 'rejected')
        THEN
            RETURN NEXT format('its content was rejected; to have it revised: contentq requeue --note, or '
                               'SELECT contentq.requeue(%L, ''what to improve'')', task.task_id);
        END IF;
    ELSE
        RETURN QUERY SELECT w.line FROM contentq.explain_waiting(task) AS w (line);
    END IF;
END;
$$;

-- Name: FUNCTION explain(task_id text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain(task_id text) IS 'Explains why a task is not running, one line for each reason, by the same conditions as claim(): not due, account paused, at its cap or over budget, no worker for its category, gate closed, all slots in use, tasks ahead of it. For a running or ended task: its state.';

-- Name: explain_account(public.accounts, bigint[], text, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_account(account public.accounts, blocked bigint[], category text, has_answer boolean) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
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

-- Name: FUNCTION explain_account(account public.accounts, blocked bigint[], category text, has_answer boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_account(account public.accounts, blocked bigint[], category text, has_answer boolean) IS 'Internal: why no task of an account in a category may start, one line for each reason.';

-- Name: explain_aging(public.content_generation_tasks, text[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_aging(task public.content_generation_tasks, categories text[], blocked bigint[], OUT is_first boolean, OUT line text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
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

-- Name: FUNCTION explain_aging(task public.content_generation_tasks, categories text[], blocked bigint[], OUT is_first boolean, OUT line text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_aging(task public.content_generation_tasks, categories text[], blocked bigint[], OUT is_first boolean, OUT line text) IS 'Internal: how settings.aging changes the place of a task.';

-- Name: explain_ahead(public.content_generation_tasks, text[], bigint[], integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_ahead(task public.content_generation_tasks, categories text[], blocked bigint[], most integer, OUT account_ids bigint[], OUT urgent bigint[], OUT equal bigint[], OUT are_all boolean, OUT own_categories text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    by_deadline constant boolean := (SELECT s.deadlines FROM contentq.settings AS s);
    -- Without duplicates: a category named twice would be read twice.
    distinct_categories constant text[] := CASE
        WHEN explain_ahead.categories IS NOT NULL THEN ARRAY(SELECT DISTINCT unnest(explain_ahead.categories))
    END;
    priorities integer[];
    accounts bigint[];
BEGIN
    FOR round IN 1..2 LOOP
        SELECT array_agg(g.account_id), array_agg(least(g.urgent, g.room)),
               array_agg(least(g.urgent + g.equal, g.room) - least(g.urgent, g.room)),
               coalesce(sum(g.read), 0) < explain_ahead.most,
               ARRAY(SELECT jsonb_array_elements_text(min(to_jsonb(g.startable)::text) FILTER (
                   WHERE g.account_id = (task).account_id)::jsonb))
        INTO account_ids, urgent, equal, are_all, own_categories
        FROM (
            SELECT c.*,
                   CASE WHEN c.place <= 200
                        THEN (SELECT contentq.account_fits(a, c.startable)
                              FROM public.accounts AS a
                              WHERE a.id = c.account_id
                                AND (a.max_running IS NOT NULL OR contentq.has_budgets())) END AS room
            FROM (
                SELECT b.account_id, count(*) AS read,
                       count(*) FILTER (WHERE b.may_start AND b.priority > (task).priority) AS urgent,
                       count(*) FILTER (WHERE b.may_start AND b.priority = (task).priority) AS equal,
                       coalesce((array_agg(b.category ORDER BY b.priority DESC) FILTER (WHERE b.may_start))[:1000], '{}')
                           AS startable,
                       row_number() OVER (ORDER BY count(*) FILTER (WHERE b.may_start) DESC, b.account_id) AS place
                FROM contentq.explain_before(
                    task, distinct_categories, explain_ahead.blocked, by_deadline, explain_ahead.most, priorities, accounts) AS b
                GROUP BY b.account_id
            ) AS c
        ) AS g;
        EXIT WHEN are_all OR cardinality(explain_ahead.blocked) = 0 OR round = 2;

        -- Like claims, skip long runs of blocked tasks by reading only accounts that are not blocked.
        SELECT array_agg(l.priority), array_agg(l.account_id)
        INTO priorities, accounts
        FROM (
            SELECT p.priority, r.account_id
            FROM generate_series((task).priority, 10) AS p (priority)
            CROSS JOIN LATERAL contentq.ready_accounts(
                p.priority, -9223372036854775808, 1001, explain_ahead.blocked) AS r
            WHERE NOT r.is_blocked
            LIMIT 1001
        ) AS l;
        EXIT WHEN cardinality(accounts) > 1000;
        accounts := coalesce(accounts, '{}');
    END LOOP;
    account_ids := coalesce(account_ids, '{}');
    urgent := coalesce(urgent, '{}');
    equal := coalesce(equal, '{}');
END;
$$;

-- Name: FUNCTION explain_ahead(task public.content_generation_tasks, categories text[], blocked bigint[], most integer, OUT account_ids bigint[], OUT urgent bigint[], OUT equal bigint[], OUT are_all boolean, OUT own_categories text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_ahead(task public.content_generation_tasks, categories text[], blocked bigint[], most integer, OUT account_ids bigint[], OUT urgent bigint[], OUT equal bigint[], OUT are_all boolean, OUT own_categories text[]) IS 'Internal: how many ready tasks of which accounts a claim in strict order claims before a task.';

-- Name: explain_before(public.content_generation_tasks, text[], bigint[], boolean, integer, integer[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_before(task public.content_generation_tasks, categories text[], blocked bigint[], by_deadline boolean, most integer, priorities integer[] DEFAULT NULL::integer[], accounts bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(account_id bigint, priority integer, category text, may_start boolean)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
    WITH place AS (
        -- For each priority, the place that tasks ahead come before; all tasks of a higher priority do. NULL: not read
        -- here.
        SELECT p.priority,
               CASE WHEN p.priority > (task).priority THEN 'infinity'
                    WHEN NOT explain_before.by_deadline OR (task).timeout_at IS NULL THEN (task).submitted_at
               END AS submitted_at,
               CASE WHEN p.priority > (task).priority THEN 9223372036854775807 ELSE (task).id END AS id
        FROM generate_series((task).priority, 10) AS p (priority)
    )
    SELECT r.account_id, r.priority, left(coalesce(r.category, ''), 200),
           r.account_id <> ALL (explain_before.blocked)
           AND r.attempt < 2147483647
           AND contentq.is_of(r.category, explain_before.categories)
           -- Tasks of the same priority with a deadline are read in deadline order.
           AND NOT (r.is_in_order AND explain_before.by_deadline AND r.priority = (task).priority
                    AND r.timeout_at IS NOT NULL)
           AND CASE WHEN r.timeout_at IS NULL THEN true
                    WHEN explain_before.by_deadline
                    THEN NOT contentq.misses_deadline(r.timeout_at, r.category)
                    ELSE r.timeout_at > clock_timestamp() END
    FROM (
        SELECT s.*, true AS is_in_order
        FROM place AS p
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = p.priority
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.categories IS NULL
          AND explain_before.accounts IS NULL
        UNION ALL
        SELECT s.*, true
        FROM place AS p
        CROSS JOIN unnest(explain_before.categories) AS c (category)
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND t.category = c.category
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.accounts IS NULL
        UNION ALL
        SELECT s.*, true
        FROM place AS p
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.category IS NULL
              AND (10 - t.priority) = 10 - p.priority
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.category, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.accounts IS NULL
          AND array_position(explain_before.categories, NULL) IS NOT NULL
        UNION ALL
        SELECT s.*, true
        FROM unnest(explain_before.priorities, explain_before.accounts) AS a (priority, account_id)
        CROSS JOIN LATERAL (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM place AS p
            CROSS JOIN public.content_generation_tasks AS t
            WHERE p.priority = a.priority
              AND t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - a.priority
              AND t.account_id = a.account_id
              AND (t.submitted_at, t.id) < (p.submitted_at, p.id)
            LIMIT explain_before.most
        ) AS s
        UNION ALL
        SELECT s.*, false
        FROM (
            SELECT t.account_id, t.priority, t.category, t.timeout_at, t.attempt
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.timeout_at IS NOT NULL
              AND (10 - t.priority) = 10 - (task).priority
              AND (t.timeout_at, t.submitted_at, t.id)
                  < (coalesce((task).timeout_at, 'infinity'),
                     CASE WHEN (task).timeout_at IS NULL THEN 'infinity' ELSE (task).submitted_at END,
                     CASE WHEN (task).timeout_at IS NULL THEN 9223372036854775807 ELSE (task).id END)
            ORDER BY (10 - t.priority), t.timeout_at, t.submitted_at, t.id
            LIMIT explain_before.most
        ) AS s
        WHERE explain_before.by_deadline
        UNION ALL
        SELECT d.account_id, d.priority, d.category, d.timeout_at, d.attempt, false
        FROM (
            SELECT t.id, t.account_id, t.priority, t.category, t.timeout_at, t.attempt, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NOT NULL
              AND t.scheduled_at <= (SELECT clock_timestamp())
            ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
            LIMIT 1000
        ) AS d
        WHERE d.id <> (task).id
          AND (d.priority > (task).priority
               OR d.priority = (task).priority
               AND (CASE WHEN explain_before.by_deadline THEN coalesce(d.timeout_at, 'infinity') ELSE '-infinity' END,
                    explain_before.by_deadline AND d.timeout_at IS NULL, d.submitted_at, d.id)
                   < (CASE WHEN explain_before.by_deadline THEN coalesce((task).timeout_at, 'infinity')
                           ELSE '-infinity' END,
                      explain_before.by_deadline AND (task).timeout_at IS NULL, (task).submitted_at, (task).id))
        LIMIT explain_before.most
    ) AS r
    LIMIT explain_before.most;
$$;

-- Name: FUNCTION explain_before(task public.content_generation_tasks, categories text[], blocked bigint[], by_deadline boolean, most integer, priorities integer[], accounts bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_before(task public.content_generation_tasks, categories text[], blocked bigint[], by_deadline boolean, most integer, priorities integer[], accounts bigint[]) IS 'Internal: the ready tasks that a claim in strict order reaches before a task.';

-- Name: explain_budgets(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_budgets(account_id bigint, category text) RETURNS SETOF text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT format(
        CASE
            WHEN r.spent >= r.amount
            THEN '%1$s is used up: %2$s of %3$s is spent; tasks start again at %4$s, or when the budget is raised: %5$s'
            WHEN r.expected IS NULL
            THEN '%1$s allows one task at a time until the cost of a task %9$s is known: %2$s of %3$s is spent, '
                 '%6$s is reserved, and %7$s; to raise the budget: %5$s'
            WHEN r.spent + r.reserved + r.expected <= r.amount
            THEN '%1$s allows no more running tasks %9$s than there were attempts in the last 7 days: %7$s; the next one '
                 'starts when one has ended, or when the budget is removed: %5$s'
            ELSE '%1$s has no room for another task now: %2$s of %3$s is spent, %6$s is reserved (%7$s), and another task is '
                 'expected to cost %8$s; it starts when one has ended and cost less, or when the budget is raised: %5$s'
        END,
        concat_ws(' ',
            CASE WHEN r.of_account_id IS NULL THEN 'the budget of all accounts'
                 ELSE format('the budget of account %s', r.of_account_id) END,
            CASE WHEN r.of_category IS NOT NULL THEN format('for category %L', r.of_category) END,
            CASE r.period WHEN 'day' THEN 'for today' ELSE 'for this month' END),
        contentq.budget_cost(r.spent, r.amount),
        r.amount,
        contentq.budget_end(r.period),
        CASE
            WHEN r.of_account_id IS NOT NULL AND r.of_category IS NULL AND r.period = 'month'
            THEN format('contentq accounts set %s --monthly-budget AMOUNT', r.of_account_id)
            ELSE concat_ws(' ', 'contentq budgets set AMOUNT',
                           CASE WHEN r.of_account_id IS NOT NULL THEN format('--account %s', r.of_account_id) END,
                           CASE WHEN r.of_category IS NOT NULL THEN format('--category %L', r.of_category) END,
                           CASE WHEN r.of_account_id IS NULL AND r.of_category IS NULL THEN '--all' END,
                           format('--period %s', r.period))
        END,
        contentq.budget_cost(r.reserved, r.amount),
        format(CASE r.running WHEN 1 THEN '%s task is running' ELSE '%s tasks are running' END, r.running),
        contentq.budget_cost(r.expected, r.amount),
        CASE WHEN explain_budgets.category <> '' THEN format('of category %L', explain_budgets.category)
             ELSE 'without a category' END
    )
    FROM contentq.budget_refusals(explain_budgets.account_id, explain_budgets.category) AS r
    ORDER BY r.of_account_id NULLS LAST, r.of_category NULLS FIRST, r.period;
$_$;

-- Name: FUNCTION explain_budgets(account_id bigint, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_budgets(account_id bigint, category text) IS 'Internal: the budgets that allow no further task of an account in a category to start, one line for each.';

-- Name: workers; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.workers (
    id bigint DEFAULT ((('x'::text || "right"((gen_random_uuid())::text, 10)))::bit(40))::bigint NOT NULL,
    hostname text NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    slots integer NOT NULL,
    busy integer DEFAULT 0 NOT NULL,
    handler text NOT NULL,
    gate text,
    version text,
    draining boolean DEFAULT false NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    categories text[],
    gates text[],
    CONSTRAINT workers_busy_check CHECK ((busy >= 0)),
    CONSTRAINT workers_categories_check CHECK (((array_ndims(categories) = 1) AND ((cardinality(categories) >= 1) AND (cardinality(categories) <= 1000)) AND (octet_length((categories)::text) <= 100000))),
    CONSTRAINT workers_gate_check CHECK ((length(gate) <= 1000)),
    CONSTRAINT workers_gates_check CHECK (((gates IS NULL) OR ((gate IS NULL) AND ((cardinality(gates) >= 1) AND (cardinality(gates) <= 100)) AND (array_ndims(gates) = 1) AND (array_position(gates, NULL::text) IS NULL) AND (NOT (gates && ARRAY[''::text, '*'::text])) AND (octet_length((gates)::text) <= 10000)))),
    CONSTRAINT workers_heartbeat_at_check CHECK (isfinite(heartbeat_at)),
    CONSTRAINT workers_slots_check CHECK ((slots > 0)),
    CONSTRAINT workers_started_at_check CHECK (isfinite(started_at))
)
WITH (fillfactor='50');

-- Name: TABLE workers; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.workers IS 'The live workers, one row each, updated by their heartbeats; the row of a worker that stops or dies is removed.';

-- Name: COLUMN workers.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.id IS 'Random number assigned at registration, never used twice.';

-- Name: COLUMN workers.hostname; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.hostname IS 'The machine on which it runs.';

-- Name: COLUMN workers.pid; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.pid IS 'Its process id on that machine.';

-- Name: COLUMN workers.started_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.started_at IS 'When it registered.';

-- Name: COLUMN workers.heartbeat_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.heartbeat_at IS 'When its last heartbeat arrived, by the clock of the database.';

-- Name: COLUMN workers.slots; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.slots IS 'How many tasks it runs at once.';

-- Name: COLUMN workers.busy; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.busy IS 'How many tasks it ran at its last heartbeat.';

-- Name: COLUMN workers.handler; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.handler IS 'Its handler.';

-- Name: COLUMN workers.gate; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.gate IS 'Key of the gate that limits it; NULL if it has none, or several.';

-- Name: COLUMN workers.version; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.version IS 'Version of the program.';

-- Name: COLUMN workers.draining; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.draining IS 'Whether it claims no more tasks and is about to stop.';

-- Name: COLUMN workers.login; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.login IS 'The login that registered it; functions refuse calls for this worker from any other login.';

-- Name: COLUMN workers.categories; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.categories IS 'The categories that it claims; NULL: all tasks.';

-- Name: COLUMN workers.gates; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.gates IS 'Keys of the gates among which each of its tasks enters one; NULL if it has one gate, or none.';

-- Name: explain_fair(public.content_generation_tasks, contentq.workers, bigint[], bigint, bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_fair(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], own_ahead bigint, slots bigint, busy bigint, OUT is_first boolean, OUT line text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    lowest constant bigint := -9223372036854775808;
    by_deadline constant boolean := (SELECT s.deadlines FROM contentq.settings AS s);
    own_id constant bigint := (task).account_id;
    turn bigint[];
    looked_at record;
    account_ids bigint[];
    shares integer[];
    running integer[];
    rooms integer[];
    started integer[];
    place integer;
    own record;
    share_now integer;
BEGIN
    SELECT ARRAY[(c.memory->'turns'->(task).priority::text->>0)::bigint, (c.memory->'turns'->(task).priority::text->>1)::bigint]
    INTO turn
    FROM contentq.claimers AS c
    WHERE c.worker_id = (worker).id;
    SELECT f.*
    INTO looked_at
    FROM contentq.fair_accounts(
        (task).priority, coalesce(turn[1] - 1, lowest), NULL, 64, explain_fair.blocked, '{}') AS f;
    account_ids := looked_at.account_ids;
    shares := looked_at.shares;
    running := looked_at.running;
    rooms := looked_at.rooms;
    IF turn[1] IS NOT NULL AND cardinality(account_ids) < 64 THEN
        SELECT f.*
        INTO looked_at
        FROM contentq.fair_accounts(
            (task).priority, lowest, turn[1], 64 - cardinality(account_ids), explain_fair.blocked, '{}') AS f;
        account_ids := account_ids || looked_at.account_ids;
        shares := shares || looked_at.shares;
        running := running || looked_at.running;
        rooms := rooms || looked_at.rooms;
    END IF;
    started := array_fill(0, ARRAY[cardinality(account_ids)]);
    IF account_ids[1] = turn[1] THEN
        started[1] := turn[2];
    END IF;

    -- Skip accounts that have no task for this worker or no budget left.
    FOR round IN 1..10 LOOP
        EXIT WHEN cardinality(account_ids) = 0;
        place := (contentq.fair_quotas(1, shares, running, rooms, started)).last_place;
        EXIT WHEN account_ids[place] = own_id;
        EXIT WHEN cardinality(contentq.over_budget(ARRAY[account_ids[place]])) = 0
            AND coalesce((SELECT contentq.account_room(a) FROM public.accounts AS a WHERE a.id = account_ids[place]) > 0, true)
            AND EXISTS (
                SELECT
                FROM (
                    SELECT t.category, t.timeout_at, t.attempt
                    FROM public.content_generation_tasks AS t
                    WHERE t.status = 'pending'
                      AND t.scheduled_at IS NULL
                      AND (10 - t.priority) = 10 - (task).priority
                      AND t.account_id = account_ids[place]
                    ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
                    LIMIT 1000
                ) AS w
                WHERE contentq.is_ready('pending', NULL, w.timeout_at, w.attempt)
                  AND contentq.is_of(w.category, (worker).categories)
                  AND NOT (by_deadline AND contentq.misses_deadline(w.timeout_at, w.category))
            );
        account_ids := account_ids[:place - 1] || account_ids[place + 1:];
        shares := shares[:place - 1] || shares[place + 1:];
        running := running[:place - 1] || running[place + 1:];
        rooms := rooms[:place - 1] || rooms[place + 1:];
        started := started[:place - 1] || started[place + 1:];
        place := NULL;
    END LOOP;
    is_first := coalesce(account_ids[place] = own_id, false) AND explain_fair.own_ahead = 0;
    IF is_first THEN
        RETURN;
    END IF;

    SELECT a.share,
           (SELECT count(*)
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.account_id = a.id) AS running
    INTO own
    FROM public.accounts AS a
    WHERE a.id = own_id;
    -- The share of the account if all slots of these accounts were shared out again.
    SELECT f.* INTO looked_at FROM contentq.fair_accounts((task).priority, lowest, NULL, 500, explain_fair.blocked, '{}') AS f;
    IF own_id = ANY (looked_at.account_ids) THEN
        SELECT (contentq.fair_quotas(
                   least(greatest(explain_fair.slots - explain_fair.busy + sum(u.running), 0), 10000)::integer,
                   array_agg(u.share ORDER BY u.place), array_agg(0 ORDER BY u.place),
                   array_agg(u.room + u.running ORDER BY u.place), array_agg(0 ORDER BY u.place))
               ).quotas[array_position(looked_at.account_ids, own_id)]
        INTO share_now
        FROM unnest(looked_at.shares, looked_at.running, looked_at.rooms) WITH ORDINALITY AS u (share, running, room, place);
    END IF;
    line := format('account %s has %s running', own_id, own.running)
        || CASE WHEN explain_fair.slots = 0 OR share_now IS NULL THEN ''
                ELSE format('; its share now is %s of %s slots (accounts with ready tasks: %s%s, share of this account: %s)',
                            share_now, explain_fair.slots, cardinality(looked_at.account_ids),
                            CASE WHEN cardinality(looked_at.account_ids) = 500 THEN ' or more' ELSE '' END, own.share) END
        || CASE explain_fair.own_ahead WHEN 0 THEN '' WHEN 1 THEN '; 1 of its own tasks is ahead'
                ELSE format('; %s of its own tasks are ahead', explain_fair.own_ahead) END
        || CASE WHEN account_ids[place] <> own_id
                THEN format('; account %s, with %s running, gets the next slot', account_ids[place], running[place])
                ELSE '' END
        || format('; for a larger share: contentq accounts set %s --share %s', own_id, own.share + 1);
END;
$$;

-- Name: FUNCTION explain_fair(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], own_ahead bigint, slots bigint, busy bigint, OUT is_first boolean, OUT line text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_fair(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], own_ahead bigint, slots bigint, busy bigint, OUT is_first boolean, OUT line text) IS 'Internal: whether a task is next in fair order, and a line about the shares of accounts.';

-- Name: explain_fleet(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_fleet(category text) RETURNS TABLE(worker contentq.workers, busy integer, suits boolean, why text, place bigint)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    WITH running AS (
        SELECT t.worker_id, count(*)::integer AS busy
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.worker_id IS NOT NULL
        GROUP BY t.worker_id
    ),
    live AS (
        SELECT w AS worker, w.id, coalesce(w.gate, w.gates::text) AS gate, coalesce(r.busy, 0) AS busy,
               coalesce(w.categories IS NULL OR explain_fleet.category = ANY (w.categories), false) AS suits
        FROM contentq.workers AS w
        CROSS JOIN contentq.settings AS s
        LEFT JOIN running AS r ON r.worker_id = w.id
        WHERE w.heartbeat_at >= clock_timestamp() - s.heartbeat_timeout
          AND NOT w.draining
    ),
    in_order AS (
        SELECT g.*, row_number() OVER (ORDER BY g.suits DESC, g.of_gate, g.id) AS place
        FROM (
            SELECT l.*, row_number() OVER (PARTITION BY l.suits, l.gate, l.busy >= (l.worker).slots ORDER BY l.id) AS of_gate
            FROM live AS l
        ) AS g
    )
    SELECT o.worker, o.busy, o.suits,
           CASE
               WHEN o.suits AND o.place <= 50
               THEN (SELECT string_agg(r.why, '; ') FROM contentq.worker_wait(o.worker) AS r)
           END,
           o.place
    FROM in_order AS o
    ORDER BY o.place;
$$;

-- Name: FUNCTION explain_fleet(category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_fleet(category text) IS 'Internal: the live workers, whether each claims a category, and why each may not start a task.';

-- Name: explain_order(public.content_generation_tasks, contentq.workers, bigint[], integer, bigint, bigint, double precision); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_order(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], most integer, slots bigint, busy bigint, pace double precision, OUT ahead bigint, OUT is_next boolean, OUT lines text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    settings contentq.settings;
    account public.accounts;
    found record;
    own record;
    fair record;
    aging record;
    room integer;
    due integer;
    in_order text;
BEGIN
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;
    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = (task).account_id;
    lines := '{}';
    SELECT e.* INTO found FROM contentq.explain_ahead(task, (worker).categories, explain_order.blocked, explain_order.most) AS e;
    SELECT coalesce(sum(u.urgent), 0)::bigint AS urgent, coalesce(sum(u.equal), 0)::bigint AS equal
    INTO own
    FROM unnest(found.account_ids, found.urgent, found.equal) AS u (account_id, urgent, equal)
    WHERE u.account_id = account.id;

    -- In fair order, only tasks of a higher priority are ahead of it whatever their account.
    SELECT coalesce(sum(n.number), 0),
           CASE
               WHEN count(*) = 1 THEN format(', of account %s', min(n.account_id))
               ELSE ': ' || string_agg(format('%s of account %s', n.number, n.account_id), ', ' ORDER BY n.place)
                                FILTER (WHERE n.place <= 3)
                    || CASE WHEN count(*) > 3
                            THEN format(', %s of other accounts', sum(n.number) FILTER (WHERE n.place > 3)) ELSE '' END
           END
    INTO ahead, in_order
    FROM (
        SELECT l.account_id, l.number, row_number() OVER (ORDER BY l.number DESC, l.account_id) AS place
        FROM (
            SELECT u.account_id, u.urgent + CASE settings.claim_order WHEN 'fair' THEN 0 ELSE u.equal END AS number
            FROM unnest(found.account_ids, found.urgent, found.equal) AS u (account_id, urgent, equal)
        ) AS l
        WHERE l.number > 0
    ) AS n;
    IF ahead > 0 OR NOT found.are_all AND settings.claim_order <> 'fair' THEN
        lines := lines || (
            format('%s%s ahead of it%s (%s)%s', ahead,
                   CASE WHEN NOT found.are_all THEN ' or more ready tasks are'
                        WHEN ahead = 1 THEN ' ready task is' ELSE ' ready tasks are' END,
                   CASE WHEN array_position((worker).categories, NULL) IS NULL
                        THEN ' in categories '
                             || (SELECT string_agg(DISTINCT c.category, ', ') FROM unnest((worker).categories) AS c (category))
                   END,
                   CASE WHEN settings.claim_order = 'fair' THEN 'by priority'
                        WHEN settings.deadlines THEN 'by priority, then the deadline, then submitted_at'
                        ELSE 'by priority, then submitted_at' END,
                   in_order)
            || CASE WHEN explain_order.pace IS NULL THEN ''
                    ELSE format('; at %s a second, its turn comes in about %s%s',
                                round(explain_order.pace::numeric, CASE WHEN explain_order.pace < 10 THEN 2 ELSE 1 END),
                                contentq.rough_duration((ahead + 1) / explain_order.pace),
                                CASE WHEN found.are_all THEN '' ELSE ' or more' END) END
        );
    END IF;
    is_next := ahead = 0 AND found.are_all;

    room := contentq.account_room(account);
    IF room > 0 AND own.urgent + own.equal >= room THEN
        is_next := false;
        -- An aged task may get the room before them (see explain_aging()).
        IF coalesce((task).submitted_at >= clock_timestamp() - settings.aging, true) THEN
            lines := lines || format(
                'account %s may start %s more (max_running %s), and its own tasks ahead of this one come first; to raise the '
                'cap: contentq accounts set %s --max-running %s', account.id, room, account.max_running, account.id,
                account.max_running + 1);
        END IF;
    ELSIF cardinality(found.own_categories) > 0
        AND contentq.account_fits(account, found.own_categories || left(coalesce((task).category, ''), 200))
            = contentq.account_fits(account, found.own_categories)
    THEN
        is_next := false;
        IF coalesce((task).submitted_at >= clock_timestamp() - settings.aging, true) THEN
            lines := lines || format(
                'the budgets of account %s have room only for its own tasks ahead of this one; see contentq.budget_status',
                account.id);
        END IF;
    END IF;

    IF settings.claim_order = 'fair' THEN
        SELECT f.*
        INTO fair
        FROM contentq.explain_fair(
            task, worker, explain_order.blocked, own.equal, explain_order.slots, explain_order.busy) AS f;
        IF NOT fair.is_first THEN
            lines := lines || fair.line;
        END IF;
        is_next := is_next AND fair.is_first;
        ahead := ahead + own.equal + CASE WHEN fair.is_first THEN 0 ELSE 1 END;
    END IF;

    IF settings.aging IS NOT NULL THEN
        SELECT a.* INTO aging FROM contentq.explain_aging(task, (worker).categories, explain_order.blocked) AS a;
        IF NOT is_next OR NOT aging.is_first THEN
            lines := array_append(lines, aging.line);
        END IF;
        is_next := is_next AND aging.is_first;
    END IF;

    -- The next claim makes due tasks ready; their places are known only then.
    IF settings.claim_order = 'fair' OR settings.aging IS NOT NULL THEN
        SELECT count(*)
        INTO due
        FROM (
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NOT NULL
              AND t.scheduled_at <= (SELECT clock_timestamp())
            ORDER BY t.scheduled_at
            LIMIT 1000
        ) AS d;
        IF due > 0 THEN
            is_next := false;
            lines := lines || format('%s%s due and will be ready at the next claim%s', due,
                                     CASE WHEN due = 1000 THEN ' or more tasks are' WHEN due = 1 THEN ' task is'
                                          ELSE ' tasks are' END,
                                     CASE WHEN (task).scheduled_at IS NULL THEN ', perhaps ahead of it' ELSE '' END);
        END IF;
    END IF;
    lines := array_remove(lines, NULL);
END;
$$;

-- Name: FUNCTION explain_order(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], most integer, slots bigint, busy bigint, pace double precision, OUT ahead bigint, OUT is_next boolean, OUT lines text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_order(task public.content_generation_tasks, worker contentq.workers, blocked bigint[], most integer, slots bigint, busy bigint, pace double precision, OUT ahead bigint, OUT is_next boolean, OUT lines text[]) IS 'Internal: what comes before a ready task on a worker.';

-- Name: explain_own(public.content_generation_tasks); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_own(task public.content_generation_tasks) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now_ constant timestamptz := clock_timestamp();
    median constant interval := contentq.median_duration((task).category);
    blocker integer;
    batch contentq.provider_batches;
    is_asked boolean := false;
BEGIN
    IF (task).timeout_at <= now_ THEN
        RETURN NEXT format('its deadline has passed (%s): it will end as timeout',
                           date_trunc('second', (task).timeout_at));
    ELSIF (task).timeout_at <= now_ + median AND (SELECT s.deadlines FROM contentq.settings AS s) THEN
        RETURN NEXT format('it cannot finish by its deadline (%s, in %s s): tasks %s take %s s (median), so it will end as '
                           'timeout; to give it more time, raise timeout_at',
                           date_trunc('second', (task).timeout_at),
                           round(extract(epoch FROM (task).timeout_at - now_)::numeric, 1),
                           coalesce('of category ' || quote_literal((task).category), 'without a category'),
                           round(extract(epoch FROM median)::numeric, 1));
    END IF;

    IF (task).scheduled_at > now_ AND (task).handler_state ? 'asked_by_attempt' THEN
        SELECT b.*
        INTO batch
        FROM contentq.batch_requests AS r
        LEFT JOIN contentq.provider_batches AS b ON b.id = r.batch_id
        WHERE r.id = (task).id
          AND r.attempt::text = (task).handler_state->>'asked_by_attempt'
          AND r.answered_at IS NULL;
        is_asked := FOUND;
    END IF;
    IF (task).scheduled_at = 'infinity' THEN
        RETURN NEXT 'it is not due: scheduled_at is infinity; to make it ready, set scheduled_at to NULL';
    ELSIF is_asked THEN
        RETURN NEXT CASE
            WHEN batch.id IS NULL THEN 'its request waits to be sent to the provider in a batch'
            ELSE format('its request waits for the answer in batch %s of the provider: %s, %s of %s requests done%s',
                        coalesce(batch.provider_id, batch.key::text), batch.status, batch.completed, batch.requests,
                        '; ' || batch.error)
        END;
    ELSIF (task).scheduled_at > now_ THEN
        RETURN NEXT format('it is not due for %s: scheduled_at is %s%s',
                           date_trunc('second', (task).scheduled_at - now_),
                           date_trunc('second', (task).scheduled_at),
                           CASE WHEN (task).attempt > 0
                                THEN '; the last attempt ended with: ' || (task).error_message END);
    END IF;

    IF NOT contentq.is_ready((task).status, NULL, NULL, (task).attempt) THEN
        RETURN NEXT 'its attempt is the highest possible number, so it is never claimed: insert the task again';
    END IF;

    -- As in worker_status: the xmax of a row is the last transaction that locked it.
    SELECT l.pid
    INTO blocker
    FROM public.content_generation_tasks AS t
    JOIN pg_locks AS l ON l.transactionid = t.xmax
    WHERE t.id = (task).id
      AND l.locktype = 'transactionid'
      AND l.granted
      AND l.pid <> pg_backend_pid()
    LIMIT 1;
    IF FOUND THEN
        RETURN NEXT format('another session has locked its row, so claims skip it until the transaction of that session '
                           'ends: see SELECT * FROM pg_stat_activity WHERE pid = %s', blocker);
    END IF;
END;
$$;

-- Name: FUNCTION explain_own(task public.content_generation_tasks); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_own(task public.content_generation_tasks) IS 'Internal: what in a waiting task itself keeps it from starting, one line for each reason.';

-- Name: explain_waiting(public.content_generation_tasks); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_waiting(task public.content_generation_tasks) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    most_read constant integer := 10000;
    most_lists constant integer := 5;
    blocked constant bigint[] := contentq.left_out_accounts();
    is_fair constant boolean := (SELECT s.claim_order = 'fair' FROM contentq.settings AS s);
    -- Categories that a budget of all accounts blocks, except the task's own category.
    blocked_categories constant text[] := ARRAY(
        SELECT DISTINCT b.category
        FROM contentq.budgets AS b
        WHERE b.account_id IS NULL
          AND b.category <> left(coalesce((task).category, ''), 200)
          AND contentq.budget_holds(NULL, b.category)
    );
    account public.accounts;
    claimer contentq.workers;
    lines text[];
    fleet record;
    each record;
    place record;
    best record;
    ids bigint[];
BEGIN
    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = (task).account_id;
    SELECT w.* INTO fleet FROM contentq.explain_workers((task).category) AS w;
    lines := ARRAY(SELECT o.line FROM contentq.explain_own(task) AS o (line))
        || ARRAY(SELECT o.line FROM contentq.explain_account(
            account, blocked, left(coalesce((task).category, ''), 200),
            (task).handler_state IS NOT NULL
            AND contentq.has_answer((task).id::bigint, (task).status, (task).handler_state)) AS o (line))
        || fleet.lines;

    IF coalesce((task).scheduled_at <= clock_timestamp(), true) THEN
        FOR each IN
            SELECT l.worker, l.ids, least(count(*) OVER (), most_lists)::integer AS lists
            FROM (
                SELECT (array_agg(w.worker ORDER BY w.place))[1] AS worker,
                       array_agg((w.worker).id ORDER BY w.place) AS ids, min(w.place) AS place
                FROM (
                    SELECT fleet.workers[i.place] AS worker, i.place
                    FROM generate_series(1, greatest(cardinality(fleet.workers), 1)) AS i (place)
                ) AS w
                -- In fair order, each worker continues with the account after the last one it considered.
                GROUP BY (w.worker).categories, CASE WHEN is_fair THEN (w.worker).id END
            ) AS l
            ORDER BY l.place
            LIMIT most_lists
        LOOP
            claimer := each.worker;
            claimer.categories := contentq.open_categories(claimer.categories, blocked_categories);
            SELECT o.*
            INTO place
            FROM contentq.explain_order(
                task, claimer, array_remove(blocked, account.id::bigint), most_read / each.lists, fleet.slots, fleet.busy,
                fleet.pace) AS o;
            IF ids IS NULL THEN
                best := place;
                ids := each.ids;
            ELSIF place.is_next AND NOT best.is_next OR place.is_next = best.is_next AND place.ahead < best.ahead THEN
                best := place;
                ids := each.ids;
            ELSIF place.is_next AND best.is_next THEN
                ids := ids || each.ids;
            END IF;
        END LOOP;
        lines := lines || best.lines;
    END IF;

    IF cardinality(lines) = 0 THEN
        lines := ARRAY[format('ready: worker %s will claim it next',
                              array_to_string(ids[:3], ' or ')
                              || CASE WHEN cardinality(ids) > 3 THEN format(' or %s more', cardinality(ids) - 3)
                                      ELSE '' END)];
    END IF;
    IF row_security_active('public.content_generation_tasks') AND NOT EXISTS (
        SELECT
        FROM pg_roles AS r
        WHERE r.rolname IN ('contentq_operator', 'contentq_worker', 'contentq_definer')
          AND pg_has_role(r.oid, 'USAGE'))
    THEN
        lines := lines || text 'rows that you may not see, such as tasks of other accounts, are not counted here';
    END IF;
    RETURN QUERY SELECT u.line FROM unnest(lines) AS u (line);
END;
$$;

-- Name: FUNCTION explain_waiting(task public.content_generation_tasks); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_waiting(task public.content_generation_tasks) IS 'Internal: why a waiting task is not running, one line for each reason.';

-- Name: explain_workers(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain_workers(category text, OUT lines text[], OUT workers contentq.workers[], OUT slots bigint, OUT busy bigint, OUT pace double precision) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
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

-- Name: FUNCTION explain_workers(category text, OUT lines text[], OUT workers contentq.workers[], OUT slots bigint, OUT busy bigint, OUT pace double precision); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain_workers(category text, OUT lines text[], OUT workers contentq.workers[], OUT slots bigint, OUT busy bigint, OUT pace double precision) IS 'Internal: why no worker starts a task of a category, one line for each reason.';

-- Name: fail(bigint, bigint, integer, text, boolean, interval, text, boolean, jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean DEFAULT false, retry_after interval DEFAULT NULL::interval, error_class text DEFAULT NULL::text, unanswered boolean DEFAULT false, state jsonb DEFAULT NULL::jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
    delay interval := fail.retry_after;
BEGIN
    IF NOT contentq.is_own_worker(fail.worker_id) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT contentq.end_cancelled_or_overdue(fail.worker_id, ARRAY[fail.id], ARRAY[fail.attempt])) THEN
        RETURN (SELECT t.status FROM public.content_generation_tasks AS t WHERE t.id = fail.id);
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = fail.id
      AND t.attempt = fail.attempt
      AND contentq.is_held(t.status, t.worker_id, fail.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF fail.unanswered THEN
        delay := contentq.note_unanswered(
            coalesce(task.gate, (SELECT w.gate FROM contentq.workers AS w WHERE w.id = fail.worker_id)),
            coalesce(task.gate_entered_at, task.started_at), task.retry_count, delay, fail.message
        );
    ELSE
        PERFORM contentq.note_failure(task, coalesce(fail.permanent, false));
        PERFORM contentq.note_answers(fail.worker_id, 1, task.started_at, 0, ARRAY[task.id]::bigint[]);
    END IF;

    RETURN contentq.record_failure(
        task.id, fail.message, fail.error_class, coalesce(fail.permanent, false),
        coalesce(delay, contentq.backoff(task.retry_count)), state => fail.state
    );
END;
$$;

-- Name: FUNCTION fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean, retry_after interval, error_class text, unanswered boolean, state jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean, retry_after interval, error_class text, unanswered boolean, state jsonb) IS 'Reports a failed attempt: back to pending with one retry charged (after retry_after, or a random backoff), or failed if permanent or if no retry is left. Returns the new status; NULL if this worker no longer holds this attempt. unanswered: the provider did not answer the call. state: as in snooze.';

-- Name: failing_wait(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.failing_wait(worker_id bigint) RETURNS interval
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT greatest(
            c.failed_at + least(interval '0.5 seconds' * power(2, least(c.quick_failures - 5, 10)), interval '30 seconds')
            - clock_timestamp(),
            interval '0'
        )
        FROM contentq.claimers AS c
        WHERE c.worker_id = failing_wait.worker_id
          AND c.quick_failures >= 5
    );
END;
$$;

-- Name: FUNCTION failing_wait(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.failing_wait(worker_id bigint) IS 'Internal: how long a worker whose tasks all fail waits before it tries again; NULL if it does not wait.';

-- Name: fair_accounts(integer, bigint, bigint, integer, bigint[], bigint[], jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fair_accounts(urgency integer, after_account bigint, below_account bigint, number integer, blocked bigint[], taken bigint[], places jsonb DEFAULT NULL::jsonb, OUT looked_at integer, OUT free integer, OUT last_account bigint, OUT account_ids bigint[], OUT shares integer[], OUT running integer[], OUT running_since timestamp with time zone[], OUT rooms integer[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_incremental_sort TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    taken_accounts constant bigint[] := ARRAY(
        SELECT o.account_id
        FROM unnest(fair_accounts.taken) AS u (id)
        CROSS JOIN LATERAL (
            SELECT t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.id = u.id
            LIMIT 1
        ) AS o
    );
BEGIN
    SELECT count(*)::integer,
           (count(*) FILTER (WHERE NOT r.is_blocked))::integer,
           max(r.account_id),
           coalesce(array_agg(r.account_id ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.share ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.running ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.since ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}'),
           coalesce(array_agg(a.max_running - a.running ORDER BY r.account_id) FILTER (WHERE a.share IS NOT NULL), '{}')
    INTO looked_at, free, last_account, account_ids, shares, running, running_since, rooms
    FROM contentq.ready_accounts(
        fair_accounts.urgency, fair_accounts.after_account, fair_accounts.number, fair_accounts.blocked,
        places => fair_accounts.places) AS r
    LEFT JOIN LATERAL (
        SELECT o.share, o.max_running, s.since,
               s.number + cardinality(array_positions(taken_accounts, o.id::bigint)) AS running
        FROM public.accounts AS o
        CROSS JOIN LATERAL (
            SELECT count(*)::integer AS number, min(p.started_at) AS since
            FROM (
                SELECT t.started_at
                FROM public.content_generation_tasks AS t
                WHERE t.status COLLATE "C" = 'processing'
                  AND t.account_id = o.id
                  AND t.started_at >= coalesce((fair_accounts.places->r.account_id::text->>2)::timestamptz, '-infinity')
                -- Only one index has this order.
                ORDER BY t.account_id, t.started_at
                OFFSET 0
            ) AS p
        ) AS s
        WHERE o.id = r.account_id
        -- LIMIT: no plan starts from the accounts, and running tasks are counted once though used twice.
        LIMIT 1
    ) AS a ON NOT r.is_blocked AND coalesce(r.account_id < fair_accounts.below_account, true);
END;
$$;

-- Name: FUNCTION fair_accounts(urgency integer, after_account bigint, below_account bigint, number integer, blocked bigint[], taken bigint[], places jsonb, OUT looked_at integer, OUT free integer, OUT last_account bigint, OUT account_ids bigint[], OUT shares integer[], OUT running integer[], OUT running_since timestamp with time zone[], OUT rooms integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fair_accounts(urgency integer, after_account bigint, below_account bigint, number integer, blocked bigint[], taken bigint[], places jsonb, OUT looked_at integer, OUT free integer, OUT last_account bigint, OUT account_ids bigint[], OUT shares integer[], OUT running integer[], OUT running_since timestamp with time zone[], OUT rooms integer[]) IS 'Internal: the next accounts between which a claim in fair order shares out slots, for one priority.';

-- Name: fair_quotas(integer, integer[], integer[], integer[], integer[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fair_quotas(slots integer, shares integer[], running integer[], rooms integer[], started integer[], OUT quotas integer[], OUT last_place integer) RETURNS record
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
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

-- Name: FUNCTION fair_quotas(slots integer, shares integer[], running integer[], rooms integer[], started integer[], OUT quotas integer[], OUT last_place integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fair_quotas(slots integer, shares integer[], running integer[], rooms integer[], started integer[], OUT quotas integer[], OUT last_place integer) IS 'Internal: the slots of each account, so that running tasks are in proportion to the shares.';

-- Name: fit_claim(bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fit_claim(ids bigint[]) RETURNS bigint[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT array_agg(f.id)
    FROM (
        SELECT s.id, s.size, sum(s.size) OVER (ORDER BY s.priority DESC, s.submitted_at, s.id) AS total
        FROM (
            SELECT t.id, t.priority, t.submitted_at,
                   octet_length(t.task_id)
                   + coalesce(octet_length(t.topic), 0)
                   + coalesce(octet_length(t.keywords), 0)
                   + coalesce(octet_length(t.category), 0)
                   + coalesce(octet_length(t.requirements), 0)
                   + coalesce(octet_length(t.tone), 0)
                   + coalesce(octet_length(t.error_message), 0)
                   + CASE WHEN t.attempt_errors <> '[]' THEN octet_length(t.attempt_errors::text) ELSE 2 END
                   + coalesce(octet_length(t.revision_note), 0)
                   + coalesce(octet_length(t.handler_state::text), 0)
                   + coalesce(octet_length(t.result::text), 0)
                   + CASE WHEN t.content_id IS NULL THEN 0
                          ELSE coalesce((SELECT octet_length(c.title) + octet_length(c.body)
                                         FROM public.contents AS c
                                         WHERE c.id = t.content_id), 0) END AS size
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (fit_claim.ids)
        ) AS s
    ) AS f
    WHERE f.total <= 16000000
       OR f.total = f.size;
$$;

-- Name: FUNCTION fit_claim(ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fit_claim(ids bigint[]) IS 'Internal: the first of these tasks whose texts total at most 16 MB; at least one.';

-- Name: fold_gate_events(contentq.gates, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fold_gate_events(gate contentq.gates, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    folded constant contentq.gates := contentq.judge_gate(gate, now_);
BEGIN
    UPDATE contentq.gates AS g
    SET opens_at = folded.opens_at,
        reason = folded.reason,
        half_open = folded.half_open,
        closed_at = folded.closed_at,
        closed_by = folded.closed_by,
        peak = folded.peak,
        grown = folded.grown,
        is_ramping = folded.is_ramping,
        cap = folded.cap,
        cap_is_known = folded.cap_is_known,
        cap_was_refused = folded.cap_was_refused,
        cap_tried_at = folded.cap_tried_at,
        cut_at = folded.cut_at,
        cut_calls = folded.cut_calls,
        cut_from = folded.cut_from,
        cut_running = folded.cut_running,
        most_running = folded.most_running,
        cut_share = folded.cut_share,
        cut_twice = folded.cut_twice,
        noise = folded.noise,
        noise_at = folded.noise_at,
        outage_since = folded.outage_since,
        level = folded.level,
        folded_id = folded.folded_id
    WHERE g.key = gate.key;
    RETURN folded;
END;
$$;

-- Name: FUNCTION fold_gate_events(gate contentq.gates, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fold_gate_events(gate contentq.gates, now_ timestamp with time zone) IS 'Internal: writes new reports about a provider, and what follows from them, into the row of its gate.';

-- Name: forget_awaited(timestamp with time zone, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.forget_awaited(noted_since timestamp with time zone, max_rows integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    each record;
    forgotten integer := 0;
BEGIN
    FOR each IN
        SELECT a.id, a.kind, a.name
        FROM contentq.awaited AS a
        WHERE a.since >= forget_awaited.noted_since
          AND (a.since < clock_timestamp() - interval '1 day'
               OR NOT EXISTS (
                   SELECT
                   FROM public.content_generation_tasks AS t
                   WHERE a.kind = 'task'
                     AND t.task_id = a.name
                     AND t.status IN ('pending', 'processing')
                   UNION ALL
                   SELECT
                   FROM public.content_generation_tasks AS t
                   WHERE a.kind = 'batch'
                     AND t.batch = a.name
                     AND t.status IN ('pending', 'processing')
               ))
        LIMIT forget_awaited.max_rows
        FOR UPDATE OF a SKIP LOCKED
    LOOP
        DELETE FROM contentq.awaited AS a WHERE a.id = each.id;
        PERFORM contentq.notify_waiters(each.kind, each.name);
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END;
$$;

-- Name: FUNCTION forget_awaited(noted_since timestamp with time zone, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_awaited(noted_since timestamp with time zone, max_rows integer) IS 'Internal: notifies sessions that wait for ended tasks and batches, and removes their rows; returns how many.';

-- Name: forget_gate_events(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.forget_gate_events(max_rows integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM contentq.gate_events
    WHERE id = ANY (ARRAY(
        SELECT o.id
        FROM (
            SELECT e.id, e.at
            FROM contentq.gate_events AS e
            ORDER BY e.id
            LIMIT forget_gate_events.max_rows
            FOR UPDATE SKIP LOCKED
        ) AS o
        WHERE o.at < clock_timestamp() - interval '10 minutes'
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END;
$$;

-- Name: FUNCTION forget_gate_events(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_gate_events(max_rows integer) IS 'Internal: deletes up to max_rows reports about providers that are more than ten minutes old.';

-- Name: forget_handler_state(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.forget_handler_state() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.handler_state := NULL;
    RETURN NEW;
END;
$$;

-- Name: FUNCTION forget_handler_state(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_handler_state() IS 'Trigger: removes the handler_state of a task that has ended.';

-- Name: forget_requests(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.forget_requests(max_rows integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    deleted integer;
BEGIN
    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT w.id, w.attempt
        FROM contentq.batch_requests AS w
        LEFT JOIN contentq.provider_batches AS b ON b.id = w.batch_id
        WHERE w.answered_at IS NULL
          AND (b.id IS NULL OR coalesce(b.expires_at, b.opened_at + interval '1 day') < clock_timestamp() - interval '1 day')
          AND NOT EXISTS (SELECT
                          FROM public.content_generation_tasks AS t
                          WHERE t.id = w.id
                            AND contentq.is_batch_wanted(t.status, t.handler_state, w.attempt))
        LIMIT forget_requests.max_rows
        FOR UPDATE OF w SKIP LOCKED
    );
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END;
$$;

-- Name: FUNCTION forget_requests(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_requests(max_rows integer) IS 'Internal: deletes requests for batches that no task waits for; returns how many.';

-- Name: forget_worker(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.forget_worker(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET enable_sort TO 'on'
    AS $$
DECLARE
    marked bigint[];
BEGIN
    marked := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (ARRAY(SELECT r.id
                                FROM contentq.revoked_attempts(forget_worker.worker_id) AS r
                                WHERE r.is_lost
                                LIMIT 1000))
          AND t.worker_id + 0 = forget_worker.worker_id
          AND t.status || '' <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(marked) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (marked);
    END IF;

    DELETE FROM contentq.claimers AS d
    WHERE d.worker_id = (SELECT c.worker_id
                       FROM contentq.claimers AS c
                       WHERE c.worker_id = forget_worker.worker_id
                       FOR UPDATE SKIP LOCKED);
    DELETE FROM contentq.gate_counts AS d
    WHERE d.id = ANY (ARRAY(SELECT c.id
                            FROM contentq.gate_counts AS c
                            WHERE c.worker_id = forget_worker.worker_id
                            FOR UPDATE SKIP LOCKED));
    DELETE FROM contentq.workers AS w WHERE w.id = forget_worker.worker_id;
END;
$$;

-- Name: FUNCTION forget_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_worker(worker_id bigint) IS 'Internal: removes the row of a worker that no longer holds tasks.';

-- Name: gate_cap(contentq.gates); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_cap(gate contentq.gates) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT least(
        (gate_cap.gate).max_running,
        (gate_cap.gate).cap
            + greatest(0, 1 + floor(((gate_cap.gate).grown - 2 * contentq.gate_cycle((gate_cap.gate).peak)) / 0.5))::integer
              * ceil(0.03 * (gate_cap.gate).cap)::integer
    );
$$;

-- Name: FUNCTION gate_cap(gate contentq.gates); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_cap(gate contentq.gates) IS 'Internal: how many tasks of a gate may run at once, as set or learned; NULL: no limit.';

-- Name: gate_closure_text(contentq.gates); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_closure_text(gate contentq.gates) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
               WHEN gate_closure_text.gate.opens_at = 'infinity'
               THEN format(', until someone opens it: SELECT contentq.open_gate(%L)', gate_closure_text.gate.key)
               ELSE format(' until %s', date_trunc('second', gate_closure_text.gate.opens_at))
           END
           || coalesce('; reason: ' || gate_closure_text.gate.reason, '');
$$;

-- Name: FUNCTION gate_closure_text(gate contentq.gates); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_closure_text(gate contentq.gates) IS 'Internal: until when and why a gate is closed, as text.';

-- Name: gate_cycle(double precision); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_cycle(peak double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT greatest(5, 60 / gate_cycle.peak);
$$;

-- Name: FUNCTION gate_cycle(peak double precision); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_cycle(peak double precision) IS 'Internal: seconds in which the pace of a gate grows by 0.09 of its peak.';

-- Name: gate_is_free(contentq.gates, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_is_free(gate contentq.gates, now_ timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT (gate_is_free.gate).opens_at <= gate_is_free.now_
           AND NOT (gate_is_free.gate).half_open
           AND num_nonnulls((gate_is_free.gate).requests_per_minute, (gate_is_free.gate).tokens_per_minute,
                            (gate_is_free.gate).max_running, (gate_is_free.gate).peak) = 0;
$$;

-- Name: FUNCTION gate_is_free(gate contentq.gates, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_is_free(gate contentq.gates, now_ timestamp with time zone) IS 'Internal: whether a gate is open and limits nothing.';

-- Name: gate_outage(contentq.gates, bigint, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_outage(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT min(e.at)
    FROM (
        SELECT e.*
        FROM contentq.gate_events AS e
        WHERE e.key = (gate_outage.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 300
    ) AS e
    WHERE e.kind = 'unanswered'
      AND e.began_at >= (gate_outage.gate).opens_at
      AND e.at > greatest(gate_outage.last_answered, gate_outage.now_ - interval '2 minutes')
    HAVING count(*) >= 3
       AND count(*) >= 0.33 * (gate_outage.answered - min(e.answered));
$$;

-- Name: FUNCTION gate_outage(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_outage(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone) IS 'Internal: since when a provider has answered nothing; NULL if it answers.';

-- Name: gate_pace(contentq.gates); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_pace(gate contentq.gates) RETURNS double precision
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT least(
        (gate_pace.gate).requests_per_minute::float8 / 60,
        CASE
            WHEN (gate_pace.gate).cap IS NOT NULL
            THEN NULL
            WHEN (gate_pace.gate).is_ramping
            THEN (gate_pace.gate).peak
                 * power(2, least((gate_pace.gate).grown / greatest(1, 5 / (gate_pace.gate).peak), 30))
            ELSE (gate_pace.gate).peak
                 * (0.92 + 0.09 * least(c.cycles, c.known))
                 * power(2, least(greatest(0, c.cycles - c.known) * 1.25, 30))
        END
    )
    FROM (
        SELECT (gate_pace.gate).grown / contentq.gate_cycle((gate_pace.gate).peak) AS cycles,
               CASE WHEN (gate_pace.gate).cut_from > 1.5 * (gate_pace.gate).peak THEN 1.5 ELSE 3 END AS known
    ) AS c;
$$;

-- Name: FUNCTION gate_pace(gate contentq.gates); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_pace(gate contentq.gates) IS 'Internal: how many tasks may start per second at a gate, as set or learned; NULL: no limit.';

-- Name: gate_rate(text, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_rate(key text, now_ timestamp with time zone) RETURNS double precision
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT (sum(a.running) / extract(epoch FROM gate_rate.now_ - min(a.oldest)))::float8
    FROM (
        SELECT r.running, r.oldest
        FROM contentq.workers AS w
        CROSS JOIN LATERAL (
            -- A range, which only the index on worker_id serves; = would allow any index.
            SELECT count(*) AS running, min(t.started_at) AS oldest
            FROM public.content_generation_tasks AS t
            WHERE t.worker_id BETWEEN w.id AND w.id
              AND t.status = 'processing'
              AND t.started_at < gate_rate.now_ - interval '1 second'
        ) AS r
        WHERE w.gate = gate_rate.key
        UNION ALL
        SELECT count(*), min(t.gate_entered_at)
        FROM public.content_generation_tasks AS t
        WHERE t.gate = gate_rate.key
          AND t.status || '' = 'processing'
          AND t.gate_entered_at < gate_rate.now_ - interval '1 second'
    ) AS a;
$$;

-- Name: FUNCTION gate_rate(key text, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_rate(key text, now_ timestamp with time zone) IS 'Internal: the rate at which the running tasks of a gate started, in tasks per second.';

-- Name: gate_refusals(contentq.gates, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_refusals(gate contentq.gates, since timestamp with time zone, now_ timestamp with time zone, OUT refused bigint, OUT new bigint, OUT refused_since bigint, OUT first_at timestamp with time zone, OUT first_calls bigint, OUT last_began_at timestamp with time zone) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT count(*),
           count(*) FILTER (WHERE e.id > (gate_refusals.gate).folded_id),
           count(*) FILTER (WHERE e.began_at >= e.first_at),
           min(e.at),
           min(e.calls),
           max(e.began_at)
    FROM (
        SELECT e.*, min(e.at) OVER () AS first_at
        FROM (
            SELECT e.*
            FROM contentq.gate_events AS e
            WHERE e.key = (gate_refusals.gate).key
            ORDER BY e.key DESC, e.id DESC
            LIMIT 1000
        ) AS e
        WHERE e.kind <> 'unanswered'
          AND e.began_at >= gate_refusals.since
          AND ((gate_refusals.gate).cut_share IS NOT NULL
               OR e.at > gate_refusals.now_ - (e.at - e.began_at) - make_interval(
                      secs => CASE WHEN (gate_refusals.gate).peak IS NULL THEN 10
                                   ELSE contentq.gate_cycle((gate_refusals.gate).peak) END
                  ))
    ) AS e;
$$;

-- Name: FUNCTION gate_refusals(gate contentq.gates, since timestamp with time zone, now_ timestamp with time zone, OUT refused bigint, OUT new bigint, OUT refused_since bigint, OUT first_at timestamp with time zone, OUT first_calls bigint, OUT last_began_at timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_refusals(gate contentq.gates, since timestamp with time zone, now_ timestamp with time zone, OUT refused bigint, OUT new bigint, OUT refused_since bigint, OUT first_at timestamp with time zone, OUT first_calls bigint, OUT last_began_at timestamp with time zone) IS 'Internal: sums up the refusals of a gate that its pace is judged by.';

-- Name: gate_refused(contentq.gates); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_refused(gate contentq.gates) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT count(*)
    FROM contentq.gate_events AS e
    WHERE e.key = (gate_refused.gate).key
      AND e.kind <> 'unanswered'
      AND e.began_at >= (gate_refused.gate).cut_at;
$$;

-- Name: FUNCTION gate_refused(gate contentq.gates); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_refused(gate contentq.gates) IS 'Internal: how many attempts that began after the last cut of a gate were refused.';

-- Name: gate_room(text, integer, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_room(key text, wanted integer, now_ timestamp with time zone DEFAULT clock_timestamp()) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    gate contentq.gates;
    newest constant bigint := (
        SELECT e.id
        FROM contentq.gate_events AS e
        WHERE e.key = gate_room.key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 1
    );
    is_free boolean;
    folded_id bigint;
BEGIN
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = gate_room.key;
    folded_id := coalesce(gate.folded_id, 0);
    is_free := gate.key IS NULL OR contentq.gate_is_free(gate, now_);
    IF is_free AND coalesce(newest <= gate.folded_id, newest IS NULL) THEN
        RETURN wanted;
    ELSIF gate.key IS NULL THEN
        PERFORM contentq.add_gate(gate_room.key);
    END IF;

    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = gate_room.key FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        -- The session that has locked a free gate is folding its reports. An exhausted provider must be known before more
        -- starts.
        RETURN CASE
            WHEN is_free AND NOT EXISTS (SELECT
                                         FROM contentq.gate_events AS e
                                         WHERE e.key = gate_room.key
                                           AND e.id > folded_id
                                           AND e.kind = 'exhausted')
            THEN wanted
            ELSE -1
        END;
    END IF;
    IF newest > gate.folded_id OR gate.half_open AND gate.opens_at <= now_ THEN
        gate := contentq.fold_gate_events(gate, now_);
    END IF;
    RETURN (SELECT least(wanted, s.room) FROM contentq.gate_state(gate, now_) AS s);
END;
$$;

-- Name: FUNCTION gate_room(key text, wanted integer, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_room(key text, wanted integer, now_ timestamp with time zone) IS 'Internal: how many of the wanted tasks may start now at a gate.';

-- Name: gate_running(text, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_running(key text, since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone, until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT coalesce(sum(r.running), 0)::integer + (
        SELECT count(*)::integer
        FROM public.content_generation_tasks AS t
        WHERE t.gate = gate_running.key
          AND t.status || '' = 'processing'
          AND t.gate_entered_at BETWEEN gate_running.since AND gate_running.until
    )
    FROM (
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.gate = gate_running.key
        UNION ALL
        SELECT w.id
        FROM contentq.workers AS w
        WHERE gate_running.key = '*'
          AND w.gate IS DISTINCT FROM '*'
    ) AS w
    CROSS JOIN LATERAL (
        -- A range, which only the index on worker_id serves; = would allow any index.
        SELECT count(*) AS running
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN w.id AND w.id
          AND t.status = 'processing'
          AND t.started_at BETWEEN gate_running.since AND gate_running.until
    ) AS r;
$$;

-- Name: FUNCTION gate_running(key text, since timestamp with time zone, until timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_running(key text, since timestamp with time zone, until timestamp with time zone) IS 'Internal: how many running tasks of a gate began between these times.';

-- Name: gate_state(contentq.gates, timestamp with time zone, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_state(gate contentq.gates, now_ timestamp with time zone, unregistered integer DEFAULT NULL::integer, OUT room integer, OUT next_in interval, OUT why text, OUT level double precision, OUT tokens_left double precision, OUT tokens_used numeric) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    burst constant float8 := 0.05;
    -- Seconds of tasks to wait for, so that a high pace does not cause as many claims.
    together constant float8 := 0.025;
    -- No notification arrives when a task ends or a probe is answered (but see note_answers()).
    look_again constant interval := interval '500 milliseconds';
    pace constant float8 := contentq.gate_pace(gate);
    cap constant integer := contentq.gate_cap(gate);
    since timestamptz;
    totals record;
    expected float8;
    allowed float8;
    running integer;
    refused integer;
BEGIN
    room := 2147483647;
    IF gate.opens_at > now_ THEN
        room := 0;
        next_in := CASE WHEN gate.opens_at < 'infinity' THEN gate.opens_at - now_ END;
        why := 'closed' || contentq.gate_closure_text(gate);
        RETURN;
    ELSIF gate.half_open THEN
        running := contentq.gate_running(gate.key, gate.opens_at) + contentq.unregistered_running(gate.opens_at);
        room := CASE WHEN running = 0 THEN 1 ELSE 0 END;
        next_in := look_again;
        why := 'one task checks whether the provider is back';
        RETURN;
    END IF;
    -- Nothing is added while the gate is closed.
    since := greatest(gate.spent_at, gate.opens_at);

    IF pace IS NOT NULL THEN
        level := least(
            greatest(1, pace * burst),
            CASE WHEN isfinite(since) THEN gate.level + pace * extract(epoch FROM now_ - since) ELSE 1 END
        );
        -- The tolerance counts nearly a whole task as one, so that a caller who waited exactly long enough gets it.
        room := floor(level + 1e-6);
        IF room < 1 THEN
            next_in := make_interval(secs => (greatest(1, pace * together) - level) / pace);
            why := format('limited to %s tasks a second', round(pace::numeric, CASE WHEN pace < 10 THEN 2 ELSE 1 END));
            RETURN;
        END IF;
    END IF;

    IF gate.tokens_per_minute IS NOT NULL THEN
        allowed := gate.tokens_per_minute / 60;
        SELECT t.* INTO totals FROM contentq.gate_totals(gate.key) AS t;
        expected := CASE WHEN totals.answered >= 3 THEN totals.tokens / totals.answered ELSE allowed END;
        tokens_used := totals.tokens + (expected * contentq.gate_running(gate.key))::numeric;
        tokens_left := least(
            greatest(allowed, expected),
            CASE WHEN gate.tokens_left IS NOT NULL AND isfinite(gate.spent_at)
                 THEN gate.tokens_left + allowed * extract(epoch FROM now_ - gate.spent_at)
                      - (tokens_used - gate.tokens_seen)::float8 END
        );
        IF expected > 0 AND tokens_left < expected * room THEN
            room := greatest(0, floor(tokens_left / expected + 1e-6));
            IF room < 1 THEN
                next_in := make_interval(secs => least(60, (expected - tokens_left) / allowed));
                why := format('limited to %s tokens a minute, and a task uses %s',
                              round(gate.tokens_per_minute), round(expected));
                RETURN;
            END IF;
        END IF;
    END IF;

    IF cap IS NOT NULL THEN
        running := contentq.gate_running(gate.key)
            + coalesce(gate_state.unregistered, contentq.unregistered_running());
        -- A refused call takes its place for a moment more: the next one would be refused as well.
        refused := CASE WHEN gate.cap IS NULL THEN 0 ELSE (
            SELECT count(*)
            FROM (
                SELECT e.at, e.kind
                FROM contentq.gate_events AS e
                WHERE e.key = gate.key
                ORDER BY e.key DESC, e.id DESC
                LIMIT cap
            ) AS e
            WHERE e.at > now_ - look_again
              AND e.kind <> 'unanswered'
        ) END;
        room := least(room, greatest(0, cap - running - refused));
        IF room < 1 THEN
            next_in := look_again;
            why := format('%s of %s running', running, cap)
                   || CASE WHEN refused > 0 THEN format(', %s refused a moment ago', refused) ELSE '' END
                   || CASE WHEN gate.max_running <= cap THEN '' ELSE ', a limit learned from refusals' END;
        END IF;
    END IF;
END;
$$;

-- Name: FUNCTION gate_state(gate contentq.gates, now_ timestamp with time zone, unregistered integer, OUT room integer, OUT next_in interval, OUT why text, OUT level double precision, OUT tokens_left double precision, OUT tokens_used numeric); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_state(gate contentq.gates, now_ timestamp with time zone, unregistered integer, OUT room integer, OUT next_in interval, OUT why text, OUT level double precision, OUT tokens_left double precision, OUT tokens_used numeric) IS 'Internal: how many tasks may start now at a gate; if none, how long until one may, and why.';

-- Name: gate_totals(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_totals(key text) RETURNS TABLE(calls bigint, answered bigint, last_answered timestamp with time zone, tokens numeric)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(sum(a.calls), 0)::bigint,
           coalesce(sum(a.answered), 0)::bigint,
           coalesce(max(a.last_answered), '-infinity'),
           coalesce(sum(a.tokens), 0)
    FROM (
        SELECT c.calls, c.answered, c.last_answered, c.tokens
        FROM contentq.workers AS w
        JOIN contentq.claimers AS c ON c.worker_id = w.id
        WHERE w.gate = gate_totals.key
           OR gate_totals.key = '*'
        UNION ALL
        SELECT c.calls, c.answered, c.last_answered, c.tokens
        FROM contentq.gate_counts AS c
        WHERE c.gate = gate_totals.key
           OR gate_totals.key = '*'
    ) AS a;
$$;

-- Name: FUNCTION gate_totals(key text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_totals(key text) IS 'Internal: the calls, answers and tokens that the workers of a gate have counted.';

-- Name: gate_events; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.gate_events (
    id bigint NOT NULL,
    key text NOT NULL,
    at timestamp with time zone NOT NULL,
    began_at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    until timestamp with time zone,
    message text,
    calls bigint NOT NULL,
    answered bigint NOT NULL,
    CONSTRAINT gate_events_kind_check CHECK ((kind = ANY (ARRAY['refused'::text, 'exhausted'::text, 'unanswered'::text])))
);

-- Name: TABLE gate_events; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.gate_events IS 'Calls that providers refused or did not answer, as workers reported them; deleted after some minutes.';

-- Name: COLUMN gate_events.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.id IS 'In the order of the reports.';

-- Name: COLUMN gate_events.key; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.key IS 'The gate of the provider.';

-- Name: COLUMN gate_events.at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.at IS 'When it was reported.';

-- Name: COLUMN gate_events.began_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.began_at IS 'When the attempt began, or entered the gate.';

-- Name: COLUMN gate_events.kind; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.kind IS 'refused; exhausted (the provider reported that nothing is left); or unanswered.';

-- Name: COLUMN gate_events.until; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.until IS 'The time that the provider named; NULL when it named none.';

-- Name: COLUMN gate_events.message; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.message IS 'The message of the provider, up to 500 characters.';

-- Name: COLUMN gate_events.calls; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.calls IS 'How many tasks the workers of the gate had claimed at that time.';

-- Name: COLUMN gate_events.answered; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_events.answered IS 'How many of their attempts had been answered at that time.';

-- Name: gate_used_up(contentq.gates, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_used_up(gate contentq.gates, last_answered timestamp with time zone, now_ timestamp with time zone) RETURNS contentq.gate_events
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH latest AS (
        SELECT e.*
        FROM contentq.gate_events AS e
        WHERE e.key = (gate_used_up.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 50
    ),
    named AS (
        SELECT e.*
        FROM latest AS e
        WHERE e.kind <> 'unanswered'
          AND e.began_at >= (gate_used_up.gate).cut_at
          AND e.until > e.at + interval '1.2 seconds'
          AND e.until > gate_used_up.now_
    )
    SELECT n.*
    FROM named AS n
    WHERE n.id > (gate_used_up.gate).folded_id
      AND (n.kind = 'exhausted'
           OR EXISTS (
               SELECT
               FROM (
                   SELECT f.began_at, row_number() OVER (ORDER BY f.began_at DESC) AS refused
                   FROM named AS f
               ) AS f
               WHERE f.refused >= 5
                 AND f.began_at > gate_used_up.last_answered
                 AND f.refused >= 4 * contentq.gate_running((gate_used_up.gate).key, f.began_at)
           ))
    ORDER BY n.until DESC
    LIMIT 1;
$$;

-- Name: FUNCTION gate_used_up(gate contentq.gates, last_answered timestamp with time zone, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_used_up(gate contentq.gates, last_answered timestamp with time zone, now_ timestamp with time zone) IS 'Internal: the refusal that shows until when a provider accepts nothing; NULL for none.';

-- Name: gate_wait(text, timestamp with time zone, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gate_wait(key text, now_ timestamp with time zone DEFAULT clock_timestamp(), unregistered integer DEFAULT NULL::integer) RETURNS TABLE(next_in interval, why text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT s.next_in, format('gate %s: %s', g.key, s.why)
    FROM contentq.gates AS g
    -- As the next claim will find it: reports since the last claim count.
    CROSS JOIN LATERAL contentq.gate_state(
        contentq.judge_gate(g, gate_wait.now_), gate_wait.now_, gate_wait.unregistered
    ) AS s
    WHERE g.key = gate_wait.key
      AND s.room < 1;
$$;

-- Name: FUNCTION gate_wait(key text, now_ timestamp with time zone, unregistered integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_wait(key text, now_ timestamp with time zone, unregistered integer) IS 'Internal: what a gate makes its workers wait for, and how long; no row if a task may start.';

-- Name: gates_room(text[], integer, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gates_room(gates text[], wanted integer, now_ timestamp with time zone DEFAULT clock_timestamp()) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    unlimited constant integer := 2147483647;
    each text;
    here integer;
    is_taken boolean := false;
BEGIN
    IF EXISTS (
        SELECT
        FROM unnest(gates_room.gates) AS k (key)
        LEFT JOIN contentq.gates AS g ON g.key = k.key
        WHERE g.key IS NULL
           OR contentq.gate_is_free(g, now_)
    ) THEN
        RETURN wanted;
    END IF;
    FOREACH each IN ARRAY gates_room.gates LOOP
        here := contentq.gate_room(each, unlimited, now_);
        IF here = unlimited THEN
            RETURN wanted;
        END IF;
        is_taken := is_taken OR here < 0;
    END LOOP;
    IF is_taken THEN
        RETURN -1;
    END IF;
    RETURN (SELECT least(wanted, s.room) FROM contentq.gates_state(gates_room.gates, now_) AS s);
END;
$$;

-- Name: FUNCTION gates_room(gates text[], wanted integer, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gates_room(gates text[], wanted integer, now_ timestamp with time zone) IS 'Internal: how many of the wanted tasks a worker with several gates may claim now.';

-- Name: gates_state(text[], timestamp with time zone, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.gates_state(gates text[], now_ timestamp with time zone DEFAULT clock_timestamp(), unregistered integer DEFAULT NULL::integer, OUT room integer, OUT next_in interval, OUT why text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    unlimited constant bigint := 2147483647;
    early constant interval := interval '100 milliseconds';
    soonest constant interval := interval '20 milliseconds';
    found_ record;
    waiting integer;
BEGIN
    SELECT count(*) AS known,
           sum(CASE WHEN s.room < 1 AND coalesce(s.next_in > early, true) THEN 0
                    -- Plus the turns that come meanwhile; none at a gate with max_running or while one task tries.
                    WHEN contentq.gate_cap(j) IS NULL AND NOT j.half_open
                    THEN greatest(s.room, 1) + floor(coalesce(contentq.gate_pace(j), 0) * extract(epoch FROM early))::bigint
                    ELSE greatest(s.room, 1) END) AS room,
           min(s.next_in) FILTER (WHERE s.room < 1) AS next_in,
           string_agg(format('gate %s: %s', g.key, s.why), '; ' ORDER BY k.place) FILTER (WHERE s.room < 1) AS why
    INTO found_
    FROM unnest(gates_state.gates) WITH ORDINALITY AS k (key, place)
    JOIN contentq.gates AS g ON g.key = k.key
    -- As the next task to enter will find it: reports since the last one count.
    CROSS JOIN LATERAL contentq.judge_gate(g, gates_state.now_) AS j
    CROSS JOIN LATERAL contentq.gate_state(j, gates_state.now_, gates_state.unregistered) AS s;

    -- A gate without a row has never limited anything.
    IF found_.known < cardinality(gates_state.gates) OR found_.room >= unlimited THEN
        room := unlimited;
        RETURN;
    ELSIF found_.room < 1 THEN
        room := 0;
        next_in := greatest(found_.next_in - early, soonest);
        why := found_.why;
        RETURN;
    END IF;
    waiting := contentq.at_the_door(gates_state.gates);
    room := greatest(0, found_.room - waiting);
    IF room < 1 THEN
        -- The next task may be claimed when those about to enter have had their turns.
        next_in := coalesce(found_.next_in, interval '0') + soonest;
        why := format('gates %s: %s about to enter', array_to_string(gates_state.gates, ', '), waiting);
    END IF;
END;
$$;

-- Name: FUNCTION gates_state(gates text[], now_ timestamp with time zone, unregistered integer, OUT room integer, OUT next_in interval, OUT why text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gates_state(gates text[], now_ timestamp with time zone, unregistered integer, OUT room integer, OUT next_in interval, OUT why text) IS 'Internal: how many tasks a worker with several gates may claim now; if none, how long until it may, and why.';

-- Name: group_errors(timestamp with time zone, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.group_errors(since timestamp with time zone DEFAULT NULL::timestamp with time zone, newest bigint DEFAULT NULL::bigint) RETURNS TABLE(error text, tasks bigint, failed bigint, timeout bigint, retrying bigint, accounts bigint, first_at timestamp with time zone, last_at timestamp with time zone, example text, example_message text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH failures AS (
        SELECT e.*, translate(left(e.error_message, 500), '123456789', '000000000') AS message
        FROM (
            (SELECT t.id, t.status, t.account_id, t.updated_at, t.error_message
             FROM public.content_generation_tasks AS t
             WHERE t.status IN ('failed', 'timeout')
             ORDER BY t.id DESC
             LIMIT group_errors.newest)
            UNION ALL
            (SELECT t.id, t.status, t.account_id, t.updated_at, t.error_message
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.retry_count > 0
             ORDER BY t.id DESC
             LIMIT group_errors.newest)
            ORDER BY 1 DESC
            LIMIT group_errors.newest
        ) AS e
        WHERE (group_errors.since IS NULL OR e.updated_at >= group_errors.since)
          AND (e.status <> 'pending' OR e.error_message IS NOT NULL)
    ),
    -- Many messages differ only in digits, which error_group() ignores. Grouping them first is faster: error_group() is
    -- slow.
    messages AS (
        SELECT f.message,
               f.account_id,
               count(*) FILTER (WHERE f.status = 'failed') AS failed,
               count(*) FILTER (WHERE f.status = 'timeout') AS timeout,
               count(*) FILTER (WHERE f.status = 'pending') AS retrying,
               min(f.updated_at) AS first_at,
               max(f.updated_at) AS last_at,
               max(f.id) AS last_id
        FROM failures AS f
        GROUP BY f.message, f.account_id
    ),
    kinds AS (
        SELECT contentq.error_group(m.message) AS error,
               sum(m.failed)::bigint AS failed,
               sum(m.timeout)::bigint AS timeout,
               sum(m.retrying)::bigint AS retrying,
               count(DISTINCT m.account_id) AS accounts,
               min(m.first_at) AS first_at,
               max(m.last_at) AS last_at,
               max(m.last_id) AS last_id
        FROM messages AS m
        GROUP BY contentq.error_group(m.message)
    )
    SELECT k.error, k.failed + k.timeout + k.retrying, k.failed, k.timeout, k.retrying, k.accounts,
           date_trunc('second', k.first_at), date_trunc('second', k.last_at),
           t.task_id::text, contentq.shorten(t.error_message, 1000)
    FROM kinds AS k
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[k.last_id])
    ORDER BY 2 DESC, k.last_at DESC, k.error;
END;
$$;

-- Name: FUNCTION group_errors(since timestamp with time zone, newest bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.group_errors(since timestamp with time zone, newest bigint) IS 'The errors of tasks that failed, timed out or wait for a retry (since a time; of the newest tasks), by kind: messages are equal without numbers, ids and quoted text.';

-- Name: has_answer(bigint, text, jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.has_answer(task_id bigint, status text, handler_state jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (
        SELECT
        FROM contentq.batch_requests AS r
        WHERE r.id = has_answer.task_id
          AND r.answered_at IS NOT NULL
          AND contentq.is_batch_wanted(has_answer.status, has_answer.handler_state, r.attempt)
    );
$$;

-- Name: FUNCTION has_answer(task_id bigint, status text, handler_state jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.has_answer(task_id bigint, status text, handler_state jsonb) IS 'Internal: whether a batch answer is ready for a task with this id, status and handler_state.';

-- Name: has_budgets(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.has_budgets() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
           OR EXISTS (SELECT FROM contentq.budgets AS b);
END;
$$;

-- Name: FUNCTION has_budgets(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.has_budgets() IS 'Internal: whether any account or any category has a budget.';

-- Name: heartbeat(bigint, integer, bigint[], integer[], timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.heartbeat(worker_id bigint, busy integer DEFAULT NULL::integer, ids bigint[] DEFAULT NULL::bigint[], attempts integer[] DEFAULT NULL::integer[], complete_until timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(id bigint, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_hashagg TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    is_registered boolean;
    held_ids bigint[];
    held_attempts integer[];
    held_since timestamptz[];
    held_cancelled boolean[];
    unknown_ids bigint[];
    unknown_attempts integer[];
BEGIN
    BEGIN
        UPDATE contentq.workers AS w
        SET heartbeat_at = clock_timestamp(),
            busy = coalesce(heartbeat.busy, w.busy)
        WHERE w.id = heartbeat.worker_id
          AND w.login = session_user;
        is_registered := FOUND;
    EXCEPTION
        WHEN lock_not_available THEN
            is_registered := true;
            RAISE WARNING 'heartbeat of worker % not recorded: its row in contentq.workers is locked by %',
                heartbeat.worker_id,
                (SELECT contentq.lock_holder(w.xmax) FROM contentq.workers AS w WHERE w.id = heartbeat.worker_id);
    END;
    IF NOT is_registered THEN
        PERFORM contentq.raise_not_registered(heartbeat.worker_id);
    END IF;

    IF heartbeat.ids IS NOT NULL THEN
        SELECT array_agg(h.id), array_agg(h.attempt), array_agg(h.started_at), array_agg(h.is_cancelled)
        INTO held_ids, held_attempts, held_since, held_cancelled
        FROM contentq.held_attempts(heartbeat.worker_id, 10000 + cardinality(heartbeat.ids)) AS h;
    END IF;

    IF heartbeat.complete_until IS NOT NULL AND held_ids IS NOT NULL THEN
        SELECT array_agg(u.id), array_agg(u.attempt)
        INTO unknown_ids, unknown_attempts
        FROM (
            SELECT h.id, h.attempt
            FROM unnest(held_ids, held_attempts, held_since) AS h (id, attempt, started_at)
            WHERE h.started_at < heartbeat.complete_until
               OR h.started_at > clock_timestamp() + interval '1 hour'
            EXCEPT
            SELECT l.id, l.attempt
            FROM unnest(heartbeat.ids, heartbeat.attempts) AS l (id, attempt)
            LIMIT 1000
        ) AS u;
        IF unknown_ids IS NOT NULL THEN
            PERFORM contentq.release_unknown(heartbeat.worker_id, unknown_ids, unknown_attempts);
        END IF;
    END IF;

    RETURN QUERY
    WITH revoked AS MATERIALIZED (
        SELECT r.id, r.attempt, r.is_lost
        FROM contentq.revoked_attempts(heartbeat.worker_id) AS r
    ),
    lost AS MATERIALIZED (
        -- Expressions leave the planner no index but the primary key.
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (ARRAY(SELECT r.id FROM revoked AS r WHERE r.is_lost LIMIT 1000))
          AND t.worker_id + 0 = heartbeat.worker_id
          AND t.status || '' <> 'processing'
        ORDER BY t.id
        FOR UPDATE SKIP LOCKED
    ),
    told AS (
        UPDATE public.content_generation_tasks AS t
        SET worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM lost AS l
        WHERE t.id = ANY (ARRAY[l.id])
        RETURNING t.id, t.attempt
    ),
    not_seen AS MATERIALIZED (
        SELECT l.id, l.attempt
        FROM unnest(heartbeat.ids, heartbeat.attempts) AS l (id, attempt)
        EXCEPT
        SELECT h.id, h.attempt
        FROM unnest(held_ids, held_attempts) AS h (id, attempt)
    )
    SELECT d.id::bigint, d.attempt
    FROM told AS d
    UNION
    SELECT r.id, r.attempt
    FROM revoked AS r
    WHERE NOT r.is_lost
    UNION
    SELECT h.id, h.attempt
    FROM unnest(held_ids, held_attempts, held_cancelled) AS h (id, attempt, is_cancelled)
    WHERE h.is_cancelled
    UNION
    -- Excludes tasks that this attempt has ended: the reply to its report may have come after the list was made.
    SELECT n.id, n.attempt
    FROM not_seen AS n
    LEFT JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE t.id IS NULL
       OR t.attempt <> n.attempt
       OR t.status = 'pending'
       OR t.status = 'processing'
          AND (t.worker_id IS DISTINCT FROM heartbeat.worker_id OR t.cancel_requested_at IS NOT NULL)
       OR t.status <> 'processing' AND t.worker_id = heartbeat.worker_id;
END;
$$;

-- Name: FUNCTION heartbeat(worker_id bigint, busy integer, ids bigint[], attempts integer[], complete_until timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.heartbeat(worker_id bigint, busy integer, ids bigint[], attempts integer[], complete_until timestamp with time zone) IS 'Keeps a worker alive (after 10 seconds without a heartbeat its tasks are rescued) and returns (id, attempt) of the tasks that it must stop: cancelled, or no longer its own. busy: the number of tasks that it runs. ids, attempts: the attempts that it holds, complete for all claims until complete_until. Other tasks that it claimed before then are released, and charged a retry from the second time on. Raises CQ001 if it is not registered.';

-- Name: held_attempts(bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.held_attempts(worker_id bigint, max_rows integer) RETURNS TABLE(id bigint, attempt integer, started_at timestamp with time zone, is_cancelled boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    -- A range and an order that only the index on worker_id has; = would allow any index.
    SELECT t.id::bigint, t.attempt, t.started_at, t.cancel_requested_at IS NOT NULL
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN held_attempts.worker_id AND held_attempts.worker_id
      AND t.status = 'processing'
    ORDER BY t.worker_id
    LIMIT held_attempts.max_rows;
$$;

-- Name: FUNCTION held_attempts(worker_id bigint, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.held_attempts(worker_id bigint, max_rows integer) IS 'Internal: up to max_rows attempts that a worker holds, when each was claimed and whether it was cancelled.';

-- Name: hold_batch(bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.hold_batch(worker_id bigint, batch_id bigint, tending integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
BEGIN
    IF contentq.is_own_worker(hold_batch.worker_id) THEN
        UPDATE contentq.provider_batches AS b
        SET tended_until = clock_timestamp() + interval '1 minute'
        WHERE b.id = hold_batch.batch_id
          AND b.tended_by = hold_batch.worker_id
          AND b.tending = hold_batch.tending
          AND b.login = session_user
          AND b.ended_at IS NULL;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    RAISE EXCEPTION 'worker % no longer has the lease of batch %', hold_batch.worker_id, hold_batch.batch_id
        USING ERRCODE = 'CQ004',
              HINT = 'Another worker has taken it over, or the batch has ended. Stop working on it.';
END;
$$;

-- Name: FUNCTION hold_batch(worker_id bigint, batch_id bigint, tending integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.hold_batch(worker_id bigint, batch_id bigint, tending integer) IS 'Renews the lease of a batch for a minute; raises CQ004 if the worker no longer has it.';

-- Name: ids_used(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.ids_used() RETURNS TABLE(tab text, col text, type text, used bigint, most bigint, percent numeric, sequence regclass, largest bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    each record;
    in_table bigint;
BEGIN
    FOR each IN
        WITH columns AS (
            SELECT c.place, c.tab, c.col, c.of_tab, a.attrelid, a.attnum,
                   format_type(a.atttypid, NULL) AS type,
                   CASE coalesce(nullif(y.typbasetype, 0), y.oid)
                       WHEN 'int2'::regtype THEN 32767
                       WHEN 'int4'::regtype THEN 2147483647
                       ELSE 9223372036854775807
                   END AS largest
            FROM (VALUES
                (1, 'accounts', 'id', 'accounts'),
                (2, 'contents', 'id', 'contents'),
                (3, 'content_generation_tasks', 'id', 'content_generation_tasks'),
                (4, 'contents', 'account_id', 'accounts'),
                (5, 'content_generation_tasks', 'account_id', 'accounts'),
                (6, 'content_generation_tasks', 'content_id', 'contents'),
                (7, 'contents', 'generation_task_id', 'content_generation_tasks')
            ) AS c (place, tab, col, of_tab)
            JOIN pg_attribute AS a ON a.attrelid = to_regclass('public.' || c.tab) AND a.attname = c.col
            JOIN pg_type AS y ON y.oid = a.atttypid
        )
        SELECT c.*, s.sequence, s.last_value, s.seqmin, s.seqmax
        FROM columns AS c
        JOIN columns AS o ON o.tab = c.of_tab AND o.col = 'id'
        LEFT JOIN LATERAL (
            SELECT q.seqrelid::regclass AS sequence, q.seqmin, q.seqmax,
                   CASE WHEN has_sequence_privilege(q.seqrelid, 'SELECT, USAGE')
                        THEN pg_sequence_last_value(q.seqrelid) END AS last_value
            FROM pg_sequence AS q
            WHERE q.seqrelid = pg_get_serial_sequence(o.attrelid::regclass::text, 'id')::regclass
               OR q.seqrelid IN (
                   SELECT d.refobjid
                   FROM pg_attrdef AS f
                   JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
                   WHERE f.adrelid = o.attrelid
                     AND f.adnum = o.attnum
                     AND d.refclassid = 'pg_class'::regclass
               )
            LIMIT 1
        ) AS s ON true
        WHERE c.col = 'id' OR c.largest < o.largest
        ORDER BY c.place
    LOOP
        in_table := NULL;
        -- Under row level security, max(id) cannot use the index.
        IF NOT row_security_active('public.' || each.of_tab) THEN
            EXECUTE format('SELECT max(t.id) FROM public.%I AS t%s', each.of_tab,
                           CASE WHEN each.seqmin < 0 THEN ' WHERE t.id < 0' ELSE '' END)
            INTO in_table;
        END IF;
        tab := each.tab;
        col := each.col;
        type := each.type;
        largest := each.largest;
        sequence := CASE WHEN each.col = 'id' AND each.seqmax < each.largest THEN each.sequence END;
        used := coalesce(greatest(in_table, each.last_value), 0);
        most := CASE WHEN each.col = 'id' THEN least(each.largest, each.seqmax) ELSE each.largest END;
        IF each.seqmin < 0 AND coalesce(greatest(in_table, each.last_value), each.seqmin) < 0 THEN
            -- Negative ids are in use, up to where the others began.
            used := coalesce(greatest(in_table, each.last_value), each.seqmin) - each.seqmin;
            most := -each.seqmin;
        END IF;
        percent := 100.0 * used / most;
        RETURN NEXT;
    END LOOP;
END;
$$;

-- Name: FUNCTION ids_used(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.ids_used() IS 'Internal: how many of the ids that each id column of the three tables can hold are used.';

-- Name: is_batch_wanted(text, jsonb, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_batch_wanted(status text, handler_state jsonb, attempt integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE(((status = ANY (ARRAY['pending'::text, 'processing'::text])) AND ((handler_state ->> 'asked_by_attempt'::text) = (attempt)::text)), false);

-- Name: FUNCTION is_batch_wanted(status text, handler_state jsonb, attempt integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_batch_wanted(status text, handler_state jsonb, attempt integer) IS 'Internal: whether a task with this status and handler_state waits for the answer to the request of this attempt.';

-- Name: is_changing(xid); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_changing(holder xid) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN is_changing.holder = 0 OR age(is_changing.holder) > age(pg_snapshot_xmin(s.of_now)::xid) THEN false
        -- It began after the snapshot.
        WHEN age(is_changing.holder) <= age(pg_snapshot_xmax(s.of_now)::xid) THEN true
        ELSE (
            SELECT pg_xact_status(x.id) = 'in progress'
                   OR pg_xact_status(x.id) = 'committed' AND NOT pg_visible_in_snapshot(x.id, s.of_now)
            FROM (
                SELECT ((pg_snapshot_xmax(s.of_now)::text)::bigint
                        + age(pg_snapshot_xmax(s.of_now)::xid) - age(is_changing.holder))::text::xid8 AS id
            ) AS x
        )
    END
    FROM (SELECT pg_current_snapshot() AS of_now OFFSET 0) AS s;
$$;

-- Name: FUNCTION is_changing(holder xid); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_changing(holder xid) IS 'Internal: whether the transaction in the xmax of a row is in progress or not visible to the caller.';

-- Name: is_held(text, bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE(((status = 'processing'::text) AND (holder = worker_id)), false);

-- Name: FUNCTION is_held(status text, holder bigint, worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint) IS 'Internal: whether a task with this status and worker_id is held by this worker.';

-- Name: is_of(text, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_of(category text, categories text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (categories IS NULL) THEN true WHEN (category IS NULL) THEN (array_position(categories, NULL::text) IS NOT NULL) ELSE COALESCE((category = ANY (categories)), false) END;

-- Name: FUNCTION is_of(category text, categories text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_of(category text, categories text[]) IS 'Internal: whether a task has one of these categories; a NULL element stands for tasks without a category.';

-- Name: is_own_worker(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_own_worker(worker_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    owner_login text;
BEGIN
    SELECT w.login INTO owner_login FROM contentq.workers AS w WHERE w.id = is_own_worker.worker_id;
    IF owner_login <> session_user THEN
        RAISE EXCEPTION 'worker % is registered by another login, not by %', is_own_worker.worker_id, session_user
            USING ERRCODE = 'CQ003',
                  HINT = 'Use only worker ids that this login received from contentq.register_worker().';
    END IF;
    RETURN owner_login IS NOT NULL;
END;
$$;

-- Name: FUNCTION is_own_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_own_worker(worker_id bigint) IS 'Internal: whether this worker is registered; raises CQ003 if another login registered it.';

-- Name: is_ready(text, timestamp with time zone, timestamp with time zone, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_ready(status text, scheduled_at timestamp with time zone, timeout_at timestamp with time zone, attempt integer) RETURNS boolean
    LANGUAGE sql
    RETURN COALESCE(((status = 'pending'::text) AND (scheduled_at IS NULL) AND (attempt < 2147483647) AND COALESCE((timeout_at > clock_timestamp()), true)), false);

-- Name: FUNCTION is_ready(status text, scheduled_at timestamp with time zone, timeout_at timestamp with time zone, attempt integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_ready(status text, scheduled_at timestamp with time zone, timeout_at timestamp with time zone, attempt integer) IS 'Internal: whether nothing in a task with these values keeps it from starting.';

-- Name: judge_cap(contentq.gates, bigint, bigint, double precision, boolean, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.judge_cap(gate contentq.gates, calls bigint, refused bigint, claimed double precision, is_excess boolean, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- As in gate_cap().
    step constant integer := ceil(0.03 * gate.cap);
BEGIN
    IF contentq.gate_cap(gate) > gate.cap AND calls - gate.cut_calls > 3 + 2 * step THEN
        gate := contentq.end_cap(gate, calls, false, now_);
    ELSIF contentq.gate_cap(gate) > gate.cap THEN
        -- An operator's limit may have cut the step short.
        gate.cap := greatest(gate.cap, contentq.gate_cap(gate) - step);
        gate.grown := CASE WHEN gate.cap_was_refused THEN 0 ELSE 2 * contentq.gate_cycle(gate.peak) - 0.6 END;
        gate.cap_is_known := gate.cap_is_known OR gate.cap_was_refused;
        gate.cap_was_refused := NOT gate.cap_was_refused;
        gate.cut_at := now_;
        gate.cut_calls := calls;
    ELSIF is_excess OR refused >= 4 AND refused >= 0.5 * claimed THEN
        gate := contentq.end_cap(gate, calls, false, now_);
    END IF;
    RETURN gate;
END;
$$;

-- Name: FUNCTION judge_cap(gate contentq.gates, calls bigint, refused bigint, claimed double precision, is_excess boolean, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.judge_cap(gate contentq.gates, calls bigint, refused bigint, claimed double precision, is_excess boolean, now_ timestamp with time zone) IS 'Internal: the row of a gate with a learned cap after refused calls are evaluated.';

-- Name: judge_gate(contentq.gates, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.judge_gate(gate contentq.gates, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    newest constant bigint := (
        SELECT e.id
        FROM contentq.gate_events AS e
        WHERE e.key = (judge_gate.gate).key
        ORDER BY e.key DESC, e.id DESC
        LIMIT 1
    );
    totals record;
BEGIN
        -- Without new reports, and unless half open, the stored row is still right.
    IF coalesce(newest <= gate.folded_id, newest IS NULL) AND NOT (gate.half_open AND gate.opens_at <= now_) THEN
        RETURN gate;
    END IF;
    SELECT t.* INTO totals FROM contentq.gate_totals(gate.key) AS t;
    gate := contentq.judge_unanswered(gate, totals.answered, totals.last_answered, now_);
    gate := contentq.judge_refusals(gate, totals.calls, totals.last_answered, now_);
    gate.folded_id := greatest(gate.folded_id, newest);
    RETURN gate;
END;
$$;

-- Name: FUNCTION judge_gate(gate contentq.gates, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.judge_gate(gate contentq.gates, now_ timestamp with time zone) IS 'Internal: the row of a gate after new reports about its provider are evaluated.';

-- Name: judge_refusals(contentq.gates, bigint, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.judge_refusals(gate contentq.gates, calls bigint, last_answered timestamp with time zone, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    -- The share of refusals that is tolerated.
    small constant float8 := 0.03;
    lowest constant float8 := 0.01;
    most_noise constant float8 := 0.2;
    pace constant float8 := contentq.gate_pace(gate);
    noise constant float8 := CASE WHEN gate.noise_at > now_ - interval '5 minutes' THEN gate.noise ELSE 0 END;
    is_probing constant boolean :=
        gate.is_ramping OR coalesce(pace >= gate.peak, false);
    used_up contentq.gate_events;
    seen record;
    settled record;
    claimed float8;
    expected float8;
    seconds float8;
    share float8;
    called float8;
    rate float8;
    accepted float8;
    deviations float8;
    is_early boolean;
    is_steep boolean;
    has_doubled boolean;
    former contentq.gates;
BEGIN
    used_up := contentq.gate_used_up(gate, judge_refusals.last_answered, now_);
    IF used_up.until > gate.opens_at THEN
        -- The rate accepted since the provider was last exhausted.
        seconds := CASE WHEN isfinite(gate.cut_at) THEN extract(epoch FROM now_ - gate.cut_at) END;
        IF seconds < 600 THEN
            rate := (judge_refusals.calls - gate.cut_calls - contentq.gate_refused(gate)) / seconds;
            IF rate > lowest THEN
                gate.peak := rate;
                gate.grown := 0;
                gate.is_ramping := false;
            END IF;
        END IF;
        gate.opens_at := used_up.until;
        gate.half_open := used_up.until >= used_up.at + interval '1 hour';
        gate.reason := used_up.message;
        gate.closed_at := now_;
        gate.closed_by := 'contentq';
        gate.cut_share := NULL;
        gate.cut_at := now_;
        gate.cut_calls := judge_refusals.calls;
        gate.level := least(gate.level, 1);
        RETURN gate;
    END IF;

    SELECT r.* INTO seen FROM contentq.gate_refusals(gate, gate.cut_at, now_) AS r;
    IF seen.new = 0 THEN
        RETURN gate;
    END IF;

    IF gate.cap IS NOT NULL THEN
        claimed := greatest(judge_refusals.calls - seen.first_calls, seen.refused_since);
        expected := claimed * greatest(1.5 * noise, small);
        RETURN contentq.judge_cap(
            gate, judge_refusals.calls, seen.refused_since, claimed,
            seen.refused_since >= (CASE WHEN claimed >= 20 THEN 2 ELSE 5 END)
            AND seen.refused_since > expected + 3 * sqrt(expected),
            now_
        );
    END IF;

    IF gate.cut_share IS NOT NULL THEN
        claimed := greatest(judge_refusals.calls - gate.cut_calls, seen.refused);
        CASE contentq.judge_trial(gate, judge_refusals.calls, now_)
            WHEN 'goes on' THEN
                RETURN gate;
            WHEN 'real' THEN
                RETURN contentq.end_trial(gate, now_);
            WHEN 'noise' THEN
                gate.cut_at := now_;
                gate.cut_calls := judge_refusals.calls;
                gate.grown := 0;
                IF NOT gate.cut_twice THEN
                    gate.cut_twice := true;
                    gate.peak := 0.75 * gate.peak;
                    RETURN gate;
                END IF;
                gate.noise := seen.refused / claimed;
                gate.noise_at := now_;
                gate.peak := gate.cut_from;
                gate.grown := 0.08 / 0.09 * contentq.gate_cycle(gate.peak);
                gate.cut_share := NULL;
                RETURN gate;
            ELSE
                gate.cut_share := NULL;
        END CASE;
    END IF;

    SELECT r.* INTO settled FROM contentq.gate_refusals(gate, gate.cut_at + interval '1 second', now_) AS r;
    is_early := settled.refused = 0;
    IF NOT is_early THEN
        seen := settled;
    END IF;
    claimed := greatest(judge_refusals.calls - seen.first_calls, seen.refused_since);
    IF is_early AND (claimed < 20 OR seen.refused_since <= 0.5 * claimed) THEN
        RETURN gate;
    END IF;
    -- A few calls tell little about the share: it must exceed the expected one by 1.5 standard deviations, or 3 where the
    -- pace worked. Without a limit, whether by chance or near a limit, a cut for less than most_noise would cost more than
    -- the refusals.
    expected := claimed * greatest(1.5 * noise, CASE WHEN pace IS NULL THEN most_noise ELSE small END);
    -- Many refusals at once, at a pace that has just grown.
    is_steep := is_probing AND NOT gate.is_ramping AND gate.grown > 0.8 * extract(epoch FROM now_ - gate.cut_at)
                AND seen.refused_since >= 0.25 * claimed;
    has_doubled := is_probing AND NOT gate.is_ramping AND pace >= 1.25 * gate.peak;
    deviations := CASE WHEN is_probing OR pace IS NULL THEN 1.5 ELSE 3 END;
    IF seen.refused_since < (CASE WHEN claimed >= 20 THEN 2 WHEN is_steep THEN 3 ELSE 5 END)
        OR seen.refused_since <= expected + deviations * sqrt(expected)
    THEN
        RETURN gate;
    END IF;

    share := seen.refused_since / (claimed + 3);
    seconds := extract(epoch FROM now_ - seen.first_at);
    -- Busy workers call less often than a high pace allows. A lower pace changes nothing until it is below that.
    called := CASE WHEN claimed >= 20 AND claimed < 0.6 * pace * seconds THEN claimed / seconds ELSE pace END;
    rate := CASE
        WHEN pace IS NULL THEN claimed / greatest(1, seconds)
        -- The pace has grown since.
        WHEN gate.is_ramping THEN 0.8 * called
        WHEN seconds >= 1 AND gate.grown < 0.8 * extract(epoch FROM now_ - gate.cut_at) THEN least(claimed / seconds, pace)
        ELSE called
    END * (1 - greatest(0, share - noise));
    -- Tasks that run tell more than claims, which are few while all slots are taken.
    IF pace IS NULL OR share < most_noise AND seconds >= 1 AND claimed / seconds < 0.7 * pace THEN
        rate := least(greatest(rate, contentq.gate_rate(gate.key, now_)), pace);
    END IF;
    -- At least the calls accepted in the last second: if the last calls of each second are refused, the shares alone
    -- estimate too low a rate. Quick calls have ended by then; for a rising pace, the calls accepted since the cut count
    -- instead.
    accepted := contentq.gate_running(gate.key, now_ - interval '1050 milliseconds', now_ - interval '50 milliseconds');
    IF gate.is_ramping THEN
        accepted := greatest(accepted, (judge_refusals.calls - gate.cut_calls - contentq.gate_refused(gate))
                                       / greatest(1, extract(epoch FROM now_ - gate.cut_at)));
    END IF;
    rate := greatest(rate, least(accepted, pace), CASE WHEN is_early THEN 0.5 * called END);
    IF is_steep OR has_doubled THEN
        -- The limit is about the pace at which the refusals began. A provider that allows no bursts refuses every other call as
        -- soon as the pace is above it, and a pace that doubles is far above it when enough calls were refused. A provider that
        -- counts the calls of a second refuses the last ones.
        former := gate;
        former.grown := greatest(0, gate.grown - seconds - 1);
        rate := CASE WHEN is_steep THEN contentq.gate_pace(former) ELSE least(rate, contentq.gate_pace(former)) END;
    ELSIF is_probing AND NOT gate.is_ramping AND gate.grown > 0.8 * extract(epoch FROM now_ - gate.cut_at) THEN
        -- Calls accepted over a whole cycle are a better estimate than those of its last moments. It is relative to the
        -- pace, not to the clock: late workers start a little less than the pace allows.
        rate := gate.peak * (0.92 + 0.045 * least(3, gate.grown / contentq.gate_cycle(gate.peak)))
                * (1 - contentq.gate_refused(gate)::float8 / greatest(judge_refusals.calls - gate.cut_calls, 1))
                / (1 - noise);
    END IF;
    gate.cut_share := CASE
        WHEN share < most_noise
            AND (gate.noise_at <= now_ - interval '5 minutes' OR NOT is_probing
                 OR now_ < gate.cut_at + make_interval(secs => contentq.gate_cycle(gate.peak)))
        THEN share
    END;
    gate.cut_twice := false;
    gate.cut_from := pace;
    gate.peak := greatest(lowest, rate);
    gate.grown := 0;
    -- In these cases little is known about what the provider would have accepted. A pace that was only halved is not doubled
    -- again.
    gate.is_ramping := gate.cut_share IS NULL
        AND (pace IS NULL AND seconds < 1
             OR NOT is_early AND seen.refused_since >= 0.8 * claimed AND accepted < 0.2 * pace);
    gate.cut_at := now_;
    gate.cut_calls := judge_refusals.calls;
    gate.level := least(gate.level, 0);
    RETURN contentq.learn_cap(gate, pace IS NOT NULL AND NOT is_early, seen.last_began_at, now_);
END;
$$;

-- Name: FUNCTION judge_refusals(gate contentq.gates, calls bigint, last_answered timestamp with time zone, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.judge_refusals(gate contentq.gates, calls bigint, last_answered timestamp with time zone, now_ timestamp with time zone) IS 'Internal: the row of a gate after refused calls are evaluated for its pace.';

-- Name: judge_trial(contentq.gates, bigint, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.judge_trial(gate contentq.gates, calls bigint, now_ timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    echo constant float8 := 1;
    enough constant float8 := 8;
    most_noise constant float8 := 0.2;
    seconds constant float8 := extract(epoch FROM now_ - gate.cut_at);
    refused constant bigint := (
        SELECT r.refused FROM contentq.gate_refusals(gate, gate.cut_at + make_interval(secs => echo), now_) AS r
    );
    claimed constant float8 := greatest(
        refused, (judge_trial.calls - gate.cut_calls) * greatest(0, 1 - echo / greatest(seconds, echo))
    );
    expected constant float8 := gate.cut_share * claimed;
BEGIN
    RETURN CASE
        WHEN expected < enough AND refused < enough THEN 'goes on'
        WHEN refused < 0.2 * expected THEN 'real'
        WHEN refused <= 2 * expected + 4 AND refused <= most_noise * claimed THEN 'noise'
        ELSE 'other'
    END;
END;
$$;

-- Name: FUNCTION judge_trial(gate contentq.gates, calls bigint, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.judge_trial(gate contentq.gates, calls bigint, now_ timestamp with time zone) IS 'Internal: whether a cut of a gate''s pace changed what its provider refuses.';

-- Name: judge_unanswered(contentq.gates, bigint, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.judge_unanswered(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    shortest constant float8 := 1;
    longest constant float8 := 30;
    share constant float8 := 0.25;
    patience constant interval := interval '5 seconds';
    latest contentq.gate_events;
    began timestamptz;
BEGIN
    IF gate.half_open AND gate.opens_at > now_ THEN
        RETURN gate;
    END IF;
    SELECT e.*
    INTO latest
    FROM contentq.gate_events AS e
    WHERE e.key = gate.key
      AND e.id > gate.folded_id
      AND (e.kind = 'unanswered' OR gate.half_open)
      AND e.began_at >= gate.opens_at
    ORDER BY e.key DESC, e.id DESC
    LIMIT 1;
    IF gate.half_open THEN
        IF judge_unanswered.last_answered >= gate.opens_at
            OR latest.kind <> 'unanswered' AND gate.outage_since IS NOT NULL
            OR contentq.gate_running(gate.key, gate.opens_at, now_ - patience) > 0
        THEN
            gate.half_open := false;
            gate.outage_since := NULL;
            RETURN gate;
        END IF;
        began := CASE WHEN latest.kind = 'unanswered' THEN coalesce(gate.outage_since, latest.at) END;
    ELSIF latest.id IS NOT NULL THEN
        began := contentq.gate_outage(gate, judge_unanswered.answered, judge_unanswered.last_answered, now_);
    END IF;
    IF began IS NOT NULL THEN
        gate.outage_since := began;
        gate.half_open := true;
        gate.opens_at := now_ + make_interval(secs => greatest(
            least(longest, greatest(shortest, share * extract(epoch FROM now_ - began))) * (0.9 + 0.2 * random()),
            least(longest, coalesce(extract(epoch FROM latest.until - now_), 0))
        ));
        gate.reason := latest.message;
        gate.closed_at := now_;
        gate.closed_by := 'contentq';
    END IF;
    RETURN gate;
END;
$$;

-- Name: FUNCTION judge_unanswered(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.judge_unanswered(gate contentq.gates, answered bigint, last_answered timestamp with time zone, now_ timestamp with time zone) IS 'Internal: closes a gate whose provider does not answer, and opens it when the provider answers again.';

-- Name: latency(interval, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.latency(period interval DEFAULT '01:00:00'::interval, by text DEFAULT NULL::text) RETURNS TABLE(key text, tasks bigint, wait_p50 numeric, wait_p95 numeric, wait_p99 numeric, run_p50 numeric, run_p95 numeric, run_p99 numeric, since timestamp with time zone)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
BEGIN
    IF latency.by NOT IN ('account', 'category', 'priority') THEN
        RAISE EXCEPTION 'latency cannot be grouped by %: use account, category or priority', latency.by
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    SELECT p.key, p.tasks,
           round(p.waits[1]::numeric, 3), round(p.waits[2]::numeric, 3), round(p.waits[3]::numeric, 3),
           round(p.runs[1]::numeric, 3), round(p.runs[2]::numeric, 3), round(p.runs[3]::numeric, 3),
           p.since
    FROM (
        SELECT CASE latency.by WHEN 'account' THEN e.account_id::text
                               WHEN 'category' THEN e.category
                               WHEN 'priority' THEN e.priority::text END AS key,
               count(*) AS tasks,
               percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY e.wait_s) AS waits,
               percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY e.run_s) AS runs,
               min(e.completed_at) AS since
        FROM (
            SELECT t.account_id, t.category, t.priority, t.completed_at,
                   -- Seconds, not an interval: the difference of two arbitrary times may not fit into an interval.
                   greatest(extract(epoch FROM t.started_at)
                            - extract(epoch FROM coalesce(t.ready_at, t.submitted_at)), 0)::float8 AS wait_s,
                   greatest(extract(epoch FROM t.completed_at) - extract(epoch FROM t.started_at), 0)::float8 AS run_s
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'completed'
              AND t.started_at IS NOT NULL
              AND t.completed_at > now_ - latency.period
              AND t.completed_at <= now_
            ORDER BY t.completed_at DESC
            LIMIT 10000
        ) AS e
        GROUP BY 1
    ) AS p
    ORDER BY p.tasks DESC, p.key;
END;
$$;

-- Name: FUNCTION latency(period interval, by text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.latency(period interval, by text) IS 'Percentiles (p50, p95, p99), in seconds, of how long tasks completed in this period waited after becoming ready, and of how long they ran. It counts the last 10,000 at most; for all, or by ''account'', ''category'' or ''priority''.';

-- Name: latest_batches(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.latest_batches(max_batches integer DEFAULT 20) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'on'
    SET jit TO 'off'
    AS $$
    WITH RECURSIVE names AS (
        (SELECT t.batch, t.submitted_at
         FROM public.content_generation_tasks AS t
         WHERE t.batch IS NOT NULL
         ORDER BY t.batch, t.status, t.account_id
         LIMIT 1)
        UNION ALL
        SELECT l.batch, l.submitted_at
        FROM names AS n
        CROSS JOIN LATERAL (
            SELECT t.batch, t.submitted_at
            FROM public.content_generation_tasks AS t
            WHERE t.batch > n.batch
            ORDER BY t.batch, t.status, t.account_id
            LIMIT 1
        ) AS l
    )
    SELECT n.batch::text
    FROM names AS n
    ORDER BY n.submitted_at DESC, n.batch
    LIMIT latest_batches.max_batches;
$$;

-- Name: FUNCTION latest_batches(max_batches integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.latest_batches(max_batches integer) IS 'The names of the latest submitted batches, latest first, for: SELECT * FROM contentq.batches WHERE batch = ANY (ARRAY(SELECT contentq.latest_batches())).';

-- Name: learn_cap(contentq.gates, boolean, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.learn_cap(gate contentq.gates, is_later boolean, refused_at timestamp with time zone, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    running constant integer := contentq.gate_running(gate.key, '-infinity', refused_at - interval '1 microsecond');
    -- Tasks whose end is not reported yet still count as running.
    about constant float8 := greatest(1, 0.08 * running);
BEGIN
    IF is_later
        AND running > 0
        AND abs(running - gate.cut_running) <= about
        AND gate.most_running <= running + about
        AND gate.cap_tried_at <= now_ - interval '1 minute'
    THEN
        gate.cap := running;
        gate.cap_is_known := false;
        gate.grown := contentq.gate_cycle(gate.peak);
        gate.cut_share := NULL;
        gate.is_ramping := false;
    END IF;
    gate.cut_running := running;
    gate.most_running := 0;
    RETURN gate;
END;
$$;

-- Name: FUNCTION learn_cap(gate contentq.gates, is_later boolean, refused_at timestamp with time zone, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.learn_cap(gate contentq.gates, is_later boolean, refused_at timestamp with time zone, now_ timestamp with time zone) IS 'Internal: the row of a gate after a cut, with a cap if its provider seems to limit the tasks at once.';

-- Name: leave_gate(bigint, bigint, integer, text, text, timestamp with time zone, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.leave_gate(worker_id bigint, id bigint, attempt integer, key text, outcome text DEFAULT 'answered'::text, resume_at timestamp with time zone DEFAULT NULL::timestamp with time zone, message text DEFAULT NULL::text, usage text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
    tokens numeric;
    is_answered constant boolean := leave_gate.outcome = 'answered';
BEGIN
    IF leave_gate.outcome IS NULL OR leave_gate.outcome NOT IN ('answered', 'refused', 'exhausted', 'unanswered') THEN
        RAISE EXCEPTION 'outcome % is not valid: use answered, refused, exhausted or unanswered', leave_gate.outcome
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT contentq.is_own_worker(leave_gate.worker_id) THEN
        RETURN false;
    END IF;
    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = leave_gate.id
      AND t.attempt = leave_gate.attempt
      AND t.gate = leave_gate.key
      AND contentq.is_held(t.status, t.worker_id, leave_gate.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    IF leave_gate.usage IS NOT NULL THEN
        tokens := contentq.add_usage(ARRAY[task.id]::bigint[], ARRAY[leave_gate.usage]);
    END IF;
    IF is_answered OR tokens > 0 THEN
        PERFORM contentq.count_at_gate(
            leave_gate.worker_id, task.gate, 0, is_answered::integer, CASE WHEN is_answered THEN task.gate_entered_at END,
            coalesce(tokens, 0)
        );
    END IF;
    IF is_answered THEN
        PERFORM contentq.wake_half_open(task.gate, task.gate_entered_at);
    ELSE
        PERFORM contentq.note_gate_event(
            task.gate, task.gate_entered_at, leave_gate.outcome, leave_gate.resume_at, leave_gate.message
        );
    END IF;
    UPDATE public.content_generation_tasks AS t
    SET gate = NULL,
        gate_entered_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = task.id;
    RETURN true;
END;
$$;

-- Name: FUNCTION leave_gate(worker_id bigint, id bigint, attempt integer, key text, outcome text, resume_at timestamp with time zone, message text, usage text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.leave_gate(worker_id bigint, id bigint, attempt integer, key text, outcome text, resume_at timestamp with time zone, message text, usage text) IS 'Reports the outcome of a call behind a gate that this attempt has entered (answered, refused, exhausted, unanswered), and its cost; the attempt continues. Returns whether the report counted.';

-- Name: left_out_accounts(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.left_out_accounts() RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    blocked bigint[] := ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.paused_until > now_);
BEGIN
    IF (SELECT a.max_running FROM public.accounts AS a WHERE a.max_running IS NOT NULL ORDER BY a.max_running LIMIT 1)
       IS NOT NULL
    THEN
        blocked := blocked || ARRAY(SELECT a.id FROM public.accounts AS a WHERE a.max_running = 0) || ARRAY(
            SELECT a.id
            FROM (
                SELECT o.account_id, count(*) AS running
                FROM (
                    SELECT t.account_id
                    FROM public.content_generation_tasks AS t
                    WHERE t.status COLLATE "C" = 'processing'
                    -- Only one index has this order.
                    ORDER BY t.account_id, t.started_at
                    OFFSET 0
                ) AS o
                GROUP BY o.account_id
            ) AS r
            -- LIMIT: no plan counts again for each account.
            CROSS JOIN LATERAL (
                SELECT l.id, l.max_running FROM public.accounts AS l WHERE l.id = r.account_id LIMIT 1
            ) AS a
            WHERE a.max_running <= r.running
        );
    END IF;
    RETURN blocked;
END;
$$;

-- Name: FUNCTION left_out_accounts(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.left_out_accounts() IS 'Internal: the accounts that are paused or at max_running.';

-- Name: lock_holder(xid); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.lock_holder(holder xid) RETURNS text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(
        (SELECT contentq.session_text(l.pid)
         FROM pg_locks AS l
         WHERE l.locktype = 'transactionid'
           AND l.transactionid = lock_holder.holder
           AND l.granted
         LIMIT 1),
        'another session'
    );
$$;

-- Name: FUNCTION lock_holder(holder xid); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.lock_holder(holder xid) IS 'Internal: the session of a transaction, for messages.';

-- Name: lock_in_order(bigint[], integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.lock_in_order(ids bigint[], wanted integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT ARRAY(
            SELECT t.id::bigint
            FROM unnest(lock_in_order.ids) WITH ORDINALITY AS u (id, place)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[u.id])
            WHERE contentq.is_ready(t.status, t.scheduled_at, t.timeout_at, t.attempt)
            ORDER BY u.place
            LIMIT lock_in_order.wanted
            FOR UPDATE OF t SKIP LOCKED
        )
    );
END;
$$;

-- Name: FUNCTION lock_in_order(ids bigint[], wanted integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.lock_in_order(ids bigint[], wanted integer) IS 'Internal: locks up to `wanted` of these tasks that are ready and not locked; returns their ids, in order.';

-- Name: lock_selected(bigint[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.lock_selected(wanted bigint[], statuses text[], OUT ids bigint[], OUT locked bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    locked := 0;
    -- IS TRUE: no plan uses status_idx, as a plan made while the table was empty would.
    ids := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.id = ANY (lock_selected.wanted)
          AND (t.status = ANY (lock_selected.statuses)) IS TRUE
        ORDER BY t.id
        FOR UPDATE
    );
EXCEPTION
    WHEN lock_not_available THEN
        ids := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (lock_selected.wanted)
              AND (t.status = ANY (lock_selected.statuses)) IS TRUE
            ORDER BY t.id
            FOR UPDATE SKIP LOCKED
        );
        locked := (SELECT count(*)
                   FROM public.content_generation_tasks AS t
                   WHERE t.id = ANY (lock_selected.wanted)
                     AND t.id <> ALL (ids)
                     AND (t.status = ANY (lock_selected.statuses)) IS TRUE);
END;
$$;

-- Name: FUNCTION lock_selected(wanted bigint[], statuses text[], OUT ids bigint[], OUT locked bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.lock_selected(wanted bigint[], statuses text[], OUT ids bigint[], OUT locked bigint) IS 'Internal: locks those of these tasks that still have one of these statuses; returns their ids, and how many tasks other sessions have locked.';

-- Name: locked_tasks(bigint, bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[]) RETURNS TABLE(id bigint, by text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET enable_sort TO 'on'
    AS $$
#variable_conflict use_column
DECLARE
    found_ids bigint[];
    found_accounts bigint[];
    found_contents bigint[];
    free_tasks bigint[];
    free_accounts bigint[];
    free_contents bigint[];
BEGIN
    IF NOT contentq.is_own_worker(locked_tasks.worker_id) THEN
        RETURN;
    END IF;
    SELECT array_agg(t.id), array_agg(t.account_id), array_agg(t.content_id)
    INTO found_ids, found_accounts, found_contents
    FROM unnest(locked_tasks.ids) AS n (id)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id);

    BEGIN
        free_tasks := ARRAY(
            SELECT t.id
            FROM unnest(found_ids) AS n (id)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR NO KEY UPDATE OF t SKIP LOCKED
        );
        -- FOR KEY SHARE, as the foreign key of contents does.
        free_accounts := ARRAY(
            SELECT a.id
            FROM (SELECT DISTINCT u.id FROM unnest(found_accounts) AS u (id)) AS n
            JOIN public.accounts AS a ON a.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR KEY SHARE OF a SKIP LOCKED
        );
        free_contents := ARRAY(
            SELECT c.id
            FROM (SELECT DISTINCT u.id FROM unnest(found_contents) AS u (id)) AS n
            JOIN public.contents AS c ON c.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR NO KEY UPDATE OF c SKIP LOCKED
        );
        RAISE EXCEPTION USING ERRCODE = 'CQ000';
    EXCEPTION
        WHEN SQLSTATE 'CQ000' THEN
            NULL;
    END;

    RETURN QUERY
    SELECT n.id,
           CASE
               WHEN n.id <> ALL (free_tasks)
               THEN (SELECT 'its row is locked by ' || contentq.lock_holder(t.xmax)
                     FROM public.content_generation_tasks AS t
                     WHERE t.id = n.id)
               WHEN n.account_id <> ALL (free_accounts)
               THEN (SELECT 'its account is locked by ' || contentq.lock_holder(a.xmax)
                     FROM public.accounts AS a
                     WHERE a.id = n.account_id)
               ELSE (SELECT 'its content is locked by ' || contentq.lock_holder(c.xmax)
                     FROM public.contents AS c
                     WHERE c.id = n.content_id)
           END
    FROM unnest(found_ids, found_accounts, found_contents) AS n (id, account_id, content_id)
    WHERE n.id <> ALL (free_tasks)
       OR n.account_id <> ALL (free_accounts)
       OR n.content_id IS NOT NULL AND n.content_id <> ALL (free_contents);
END;
$$;

-- Name: FUNCTION locked_tasks(worker_id bigint, ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[]) IS 'Those of these tasks that this worker holds and cannot report now, because another session has locked their row, account or content, and which session that is.';

-- Name: maintain(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.maintain() RETURNS interval
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
    longest_wait constant interval := interval '4 seconds';
    batch constant integer := 1000;
    now_ constant timestamptz := clock_timestamp();
    settings contentq.settings;
    watch contentq.maintenance;
    step text;
    done integer;
    deleted integer;
    more boolean := false;
    has_failed boolean := false;
    next_event timestamptz;
    began timestamptz;
    line text;
    held_since timestamptz;
    holder text;
BEGIN
    PERFORM FROM contentq.maintenance FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT m.ran_at, contentq.lock_holder(m.xmax)
        INTO held_since, holder
        FROM contentq.maintenance AS m
        WHERE m.ran_at < now_ - 4 * longest_wait
          AND isfinite(m.ran_at);  -- before the first call, the start of the delay is not known
        IF FOUND THEN
            RAISE WARNING 'deadlines, rescues and clean-up have been blocked since %: the row of contentq.maintenance is locked '
                          'by %',
                date_trunc('second', held_since), holder;
        END IF;
        RETURN longest_wait;
    END IF;
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;

    UPDATE contentq.maintenance AS m
    SET ran_at = now_,
        watched_since = CASE WHEN m.ran_at < now_ - greatest(settings.heartbeat_timeout * 0.6, longest_wait * 1.25)
                             THEN now_ ELSE m.watched_since END
    RETURNING m.* INTO STRICT watch;

    FOREACH step IN ARRAY ARRAY[
        'sweep', 'promote', 'rescue', 'end hopeless tasks', 'notify waiters', 'check budgets', 'clean up'
    ]
    LOOP
        BEGIN
            done := 0;
            IF step = 'sweep' THEN
                done := contentq.sweep_timeouts(batch);
            ELSIF step = 'promote' THEN
                done := contentq.promote_scheduled(batch);
                IF done > 0 THEN
                    PERFORM contentq.notify_ready();
                END IF;
            ELSIF step = 'rescue' THEN
                IF watch.watched_since <= now_ - settings.heartbeat_timeout THEN
                    done := contentq.rescue_silent(now_ - settings.heartbeat_timeout);
                END IF;
            ELSIF step = 'end hopeless tasks' THEN
                IF settings.deadlines THEN
                    done := contentq.sweep_hopeless(batch);
                END IF;
            ELSIF step = 'notify waiters' THEN
                done := contentq.forget_awaited(
                    CASE WHEN watch.cleaned_at < now_ - interval '1 minute' THEN '-infinity'
                         ELSE now_ - interval '30 seconds' END,
                    batch
                );
            ELSIF step = 'check budgets' THEN
                IF watch.budgets_due_at <= now_ AND contentq.has_budgets() THEN
                    began := clock_timestamp();
                    FOR line IN SELECT b.line FROM contentq.note_budgets() AS b (line) LOOP
                        RAISE WARNING '%', line;
                    END LOOP;
                    -- With very many budgets, the check takes at most a fiftieth of the time.
                    UPDATE contentq.maintenance
                    SET budgets_due_at = now_ + least(50 * (clock_timestamp() - began), interval '10 minutes');
                END IF;
            ELSIF watch.cleaned_at < now_ - interval '1 minute' THEN
                IF settings.retention IS NOT NULL THEN
                    done := contentq.cleanup(settings.retention, batch);
                END IF;
                IF settings.failed_retention IS NOT NULL THEN
                    done := greatest(done, contentq.cleanup_failed(settings.failed_retention, batch));
                END IF;
                DELETE FROM contentq.dead_workers
                WHERE id = ANY (ARRAY(
                    SELECT d.id
                    FROM contentq.dead_workers AS d
                    WHERE d.found_at < now_ - coalesce(settings.retention, interval '30 days')
                    ORDER BY d.found_at
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                done := greatest(done, contentq.forget_gate_events(batch), contentq.forget_requests(batch));
                DELETE FROM contentq.claimers
                WHERE worker_id = ANY (ARRAY(
                    SELECT c.worker_id
                    FROM contentq.claimers AS c
                    WHERE NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = c.worker_id)
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                DELETE FROM contentq.gate_counts
                WHERE id = ANY (ARRAY(
                    SELECT c.id
                    FROM contentq.gate_counts AS c
                    WHERE NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = c.worker_id)
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
                IF settings.deadlines THEN
                    PERFORM contentq.measure_durations();
                END IF;
                IF done < batch THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
            END IF;
            more := more OR done >= batch;
        EXCEPTION
            WHEN OTHERS THEN
                has_failed := true;
                RAISE WARNING 'contentq.maintain() could not %: %', step, SQLERRM
                    USING ERRCODE = SQLSTATE;
                IF step = 'clean up' THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
        END;
    END LOOP;
    IF more THEN
        RETURN interval '0';
    ELSIF has_failed THEN
        RETURN longest_wait;
    END IF;

    -- A live worker stops its handlers at their deadlines itself; the sweep follows a moment later.
    next_event := least(
        -- More than the longest wait, however long these queries take.
        now_ + interval '1 minute',
        (SELECT min(t.timeout_at) + interval '250 milliseconds'
         FROM public.content_generation_tasks AS t
         WHERE t.status IN ('pending', 'processing')
           AND t.timeout_at IS NOT NULL
           AND t.timeout_at < now_ + longest_wait),
        (SELECT greatest(min(w.heartbeat_at), watch.watched_since) + settings.heartbeat_timeout
         FROM contentq.workers AS w)
    );
    RETURN least(longest_wait, greatest(next_event - clock_timestamp() + interval '10 milliseconds',
                                        interval '100 milliseconds'));
END;
$$;

-- Name: FUNCTION maintain(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.maintain() IS 'Maintenance, run by whichever worker calls first: sweeps deadlines, rescues tasks of dead workers, makes scheduled tasks ready, deletes what is older than settings.retention and failed_retention, records budgets that are near their end. Returns how long to wait before the next call.';

-- Name: mark_matching(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, text, boolean, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.mark_matching(verdict text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, revise boolean, after_id bigint, max_contents integer) RETURNS TABLE(contents bigint, last_id bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    most constant integer := least(greatest(coalesce(mark_matching.max_contents, 1000), 1), 10000);
    is_revised constant boolean := coalesce(mark_matching.revise, false);
    ids bigint[];
    marked bigint[];
    tasks bigint[];
BEGIN
    IF num_nonnulls(mark_matching.account_id, mark_matching.category, mark_matching.batch, mark_matching.since,
                    mark_matching.until) = 0 THEN
        RAISE EXCEPTION 'no selector given: name the content to decide on'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Pass account_id, category, batch, since or until. To select all pending content: '
                         'since => ''-infinity''.';
    END IF;
    ids := ARRAY(
        SELECT m.id
        FROM contentq.matching_contents(
            mark_matching.account_id, mark_matching.category, mark_matching.batch, mark_matching.since,
            mark_matching.until, mark_matching.after_id, most, contentq.seen_accounts()
        ) AS m (id)
    );
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(ids) = 0 THEN
        RETURN QUERY SELECT 0::bigint, NULL::bigint;
        RETURN;
    END IF;
    marked := ARRAY(
        SELECT c.id
        FROM public.contents AS c
        WHERE c.id = ANY (ids)
          AND coalesce(c.review_status, '') = 'pending'
        ORDER BY c.id
        FOR NO KEY UPDATE SKIP LOCKED
    );
    IF is_revised AND cardinality(marked) > 0 THEN
        tasks := ARRAY(
            SELECT t.id
            FROM public.contents AS c
            JOIN public.content_generation_tasks AS t
                ON t.id = contentq.task_of_content(c.id, c.generation_task_id, c.account_id)
                AND t.account_id + 0 = c.account_id
                AND t.content_id + 0 = c.id
            WHERE c.id = ANY (marked)
              AND t.status <> ALL ('{pending,processing}')
            ORDER BY t.id
            FOR NO KEY UPDATE OF t SKIP LOCKED
        );
        marked := ARRAY(SELECT t.content_id FROM public.content_generation_tasks AS t WHERE t.id = ANY (tasks));
    END IF;
    IF cardinality(marked) > 0 THEN
        UPDATE public.contents AS c
        SET review_status = mark_matching.verdict,
            reviewed_by = left(coalesce(nullif(btrim(mark_matching.reviewer), ''), session_user), 100),
            reviewed_at = clock_timestamp(),
            review_note = contentq.shorten(mark_matching.note, 8000)
        WHERE c.id = ANY (marked);
    END IF;
    IF is_revised AND cardinality(marked) > 0 THEN
        PERFORM contentq.requeue_tasks(tasks, mark_matching.note);
    END IF;
    contents := cardinality(marked);
    IF cardinality(ids) = most THEN
        last_id := ids[cardinality(ids)];
    END IF;
    RETURN NEXT;
END;
$$;

-- Name: FUNCTION mark_matching(verdict text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, revise boolean, after_id bigint, max_contents integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.mark_matching(verdict text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, revise boolean, after_id bigint, max_contents integer) IS 'Internal: stores a verdict on one chunk of the pending content that matches the selectors.';

-- Name: contents; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.contents (
    id integer NOT NULL,
    account_id integer NOT NULL,
    title character varying(500) NOT NULL,
    body text NOT NULL,
    word_count integer DEFAULT 0 NOT NULL,
    review_status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    generation_task_id bigint,
    reviewed_by text,
    reviewed_at timestamp with time zone,
    review_note text,
    CONSTRAINT contents_review_status_check CHECK (((review_status)::text = ANY ((ARRAY['pending'::character varying, 'approved'::character varying, 'rejected'::character varying])::text[]))),
    CONSTRAINT contents_word_count_check CHECK ((word_count >= 0))
);

-- Name: TABLE contents; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.contents IS 'The content that tasks produced, one row for each version.';

-- Name: COLUMN contents.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.id IS 'Identifier; tasks refer to it.';

-- Name: COLUMN contents.account_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.account_id IS 'The account for which it was generated.';

-- Name: COLUMN contents.title; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.title IS 'Title, up to 500 characters.';

-- Name: COLUMN contents.body; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.body IS 'The text, in Markdown.';

-- Name: COLUMN contents.word_count; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.word_count IS 'Number of words in the body; a CJK character counts as one.';

-- Name: COLUMN contents.review_status; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.review_status IS 'pending, approved or rejected. Content of a task with auto_approve is approved when it is stored.';

-- Name: COLUMN contents.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.created_at IS 'When the content was stored.';

-- Name: COLUMN contents.generation_task_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.generation_task_id IS 'Id of the task that produced it. All versions from one task have the same id; the latest has the largest contents.id. The task may have been deleted since.';

-- Name: COLUMN contents.reviewed_by; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.reviewed_by IS 'Who last approved or rejected it; NULL: nobody.';

-- Name: COLUMN contents.reviewed_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.reviewed_at IS 'When it was last approved or rejected.';

-- Name: COLUMN contents.review_note; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.review_note IS 'The note of the reviewer; for a draft that failed checks, the failed checks.';

-- Name: mark_reviewed(bigint, text, text, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.mark_reviewed(content_id bigint, verdict text, reviewer text, note text, review_status text) RETURNS public.contents
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    seen constant bigint[] := contentq.seen_accounts();
    content public.contents;
BEGIN
    SELECT c.*
    INTO content
    FROM public.contents AS c
    WHERE c.id = mark_reviewed.content_id
      AND (seen IS NULL OR c.account_id + 0 = ANY (seen))
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no content %', mark_reviewed.content_id
            USING ERRCODE = 'CQ005',
                  HINT = 'SELECT content_id FROM contentq.review_queue lists the content that waits for review.';
    END IF;
    IF content.review_status IS DISTINCT FROM mark_reviewed.review_status THEN
        RAISE EXCEPTION 'content % %', content.id,
            CASE WHEN content.reviewed_at IS NULL OR content.review_status = 'pending'
                 THEN format('is %s, not %s', content.review_status, mark_reviewed.review_status)
                 ELSE format('was %s by %s %s', content.review_status, coalesce(content.reviewed_by, 'someone'),
                             contentq.ago(content.reviewed_at)) END
            USING ERRCODE = 'CQ005',
                  HINT = format('To decide again, pass its current status: review_status => %L.', content.review_status);
    END IF;

    UPDATE public.contents AS c
    SET review_status = mark_reviewed.verdict,
        reviewed_by = left(coalesce(nullif(btrim(mark_reviewed.reviewer), ''), session_user), 100),
        reviewed_at = clock_timestamp(),
        review_note = contentq.shorten(mark_reviewed.note, 8000)
    WHERE c.id = content.id
    RETURNING c.* INTO content;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a trigger or rule on table contents suppressed the review'
            USING ERRCODE = 'triggered_action_exception';
    END IF;
    RETURN content;
END;
$$;

-- Name: FUNCTION mark_reviewed(content_id bigint, verdict text, reviewer text, note text, review_status text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.mark_reviewed(content_id bigint, verdict text, reviewer text, note text, review_status text) IS 'Internal: stores a verdict on content with the given review_status; raises CQ005 if it differs.';

-- Name: matching_contents(bigint, text, text, timestamp with time zone, timestamp with time zone, bigint, integer, bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.matching_contents(account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, after_id bigint DEFAULT 0, max_contents integer DEFAULT 1000, seen bigint[] DEFAULT NULL::bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
BEGIN
    RETURN QUERY EXECUTE concat_ws(
        ' ',
        'SELECT c.id::bigint FROM public.contents AS c',
        CASE WHEN batch IS NOT NULL
             THEN 'JOIN public.content_generation_tasks AS t '
                  'ON t.id = c.generation_task_id AND t.account_id + 0 = c.account_id'
             WHEN num_nonnulls(category, nullif(since, '-infinity'), until) > 0
             THEN 'JOIN LATERAL (SELECT o.category, o.submitted_at FROM public.content_generation_tasks AS o '
                  'WHERE o.id = c.generation_task_id AND o.account_id + 0 = c.account_id LIMIT 1) AS t ON true' END,
        'WHERE c.review_status = ''pending'' AND c.id + 0 > $1',
        CASE WHEN account_id IS NOT NULL THEN 'AND c.account_id = $2' END,
        CASE WHEN category IS NOT NULL THEN 'AND t.category = $3' END,
        CASE WHEN batch IS NOT NULL THEN 'AND t.batch = $4' END,
        CASE WHEN since > '-infinity' THEN 'AND t.submitted_at >= $5' END,
        CASE WHEN until IS NOT NULL THEN 'AND t.submitted_at < $6' END,
        CASE WHEN seen IS NOT NULL THEN 'AND c.account_id + 0 = ANY ($7)' END,
        'ORDER BY c.id + 0 LIMIT $8'
    )
    USING coalesce(after_id, 0), account_id, category, batch, since, until, seen, greatest(coalesce(max_contents, 1000), 1);
END;
$_$;

-- Name: FUNCTION matching_contents(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, after_id bigint, max_contents integer, seen bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.matching_contents(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, after_id bigint, max_contents integer, seen bigint[]) IS 'Pending content, by account, and by category, batch and submission time of its task: up to max_contents ids after after_id.';

-- Name: matching_tasks(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.matching_tasks(status text DEFAULT NULL::text, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, worker_id bigint DEFAULT NULL::bigint, after_id bigint DEFAULT NULL::bigint, max_tasks integer DEFAULT 1000) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN QUERY
    SELECT s.id
    FROM contentq.select_tasks(
        contentq.selected_statuses(NULL, matching_tasks.status), matching_tasks.account_id, matching_tasks.category,
        matching_tasks.batch, matching_tasks.since, matching_tasks.until, matching_tasks.error, matching_tasks.worker_id,
        beyond_id => matching_tasks.after_id, max_tasks => matching_tasks.max_tasks) AS s (id);
END;
$$;

-- Name: FUNCTION matching_tasks(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.matching_tasks(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, after_id bigint, max_tasks integer) IS 'The ids of up to max_tasks tasks above after_id that match all given selectors: status, account_id, category, batch, submitted since and until, error (a part of the message, or its error_group()), worker_id.';

-- Name: measure_durations(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.measure_durations() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    INSERT INTO contentq.durations AS d (category, median)
    SELECT coalesce(l.category, ''), percentile_cont(0.5) WITHIN GROUP (ORDER BY l.completed_at - l.started_at)
    FROM (
        SELECT t.category, t.started_at, t.completed_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'completed'
          AND t.completed_at > '-infinity'
        ORDER BY t.completed_at DESC
        LIMIT 1000
    ) AS l
    WHERE l.started_at <= l.completed_at
    GROUP BY coalesce(l.category, '')
    HAVING count(*) >= 5
    ON CONFLICT ON CONSTRAINT durations_pkey DO UPDATE
    SET median = excluded.median,
        measured_at = excluded.measured_at;
    DELETE FROM contentq.durations AS d
    WHERE d.category = ANY (ARRAY(
        SELECT m.category
        FROM contentq.durations AS m
        ORDER BY m.measured_at DESC
        OFFSET 1000
    ));
END;
$$;

-- Name: FUNCTION measure_durations(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.measure_durations() IS 'Internal: measures how long tasks of each category take, from the last 1000 completed tasks.';

-- Name: durations; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.durations (
    category text NOT NULL,
    median interval NOT NULL,
    measured_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: TABLE durations; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.durations IS 'How long tasks take, by category, measured once a minute while settings.deadlines is on.';

-- Name: COLUMN durations.category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.durations.category IS 'The category; empty for tasks without one.';

-- Name: COLUMN durations.median; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.durations.median IS 'Median time from the start of the last attempt to completion.';

-- Name: COLUMN durations.measured_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.durations.measured_at IS 'When it was measured.';

-- Name: median_duration(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.median_duration(category text) RETURNS interval
    LANGUAGE sql STABLE
    RETURN COALESCE((SELECT d.median FROM contentq.durations d WHERE (d.category = COALESCE(median_duration.category, ''::text))), '00:00:00'::interval);

-- Name: FUNCTION median_duration(category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.median_duration(category text) IS 'Internal: the median duration of recently completed tasks of a category; 0 if none was measured.';

-- Name: misses_deadline(timestamp with time zone, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.misses_deadline(timeout_at timestamp with time zone, category text) RETURNS boolean
    LANGUAGE sql
    RETURN COALESCE((timeout_at <= (clock_timestamp() + contentq.median_duration(category))), false);

-- Name: FUNCTION misses_deadline(timeout_at timestamp with time zone, category text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.misses_deadline(timeout_at timestamp with time zone, category text) IS 'Internal: whether a waiting task cannot finish by its deadline, by the median duration of its category.';

-- Name: most_alike(bigint, text, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.most_alike(id bigint, body text, last integer DEFAULT 50) RETURNS TABLE(content_id bigint, title text, likeness real)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    most_characters constant integer := 100000;
    trigrams constant text := (
        SELECT n.nspname
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_trgm'
    );
BEGIN
    IF trigrams IS NULL THEN
        RAISE EXCEPTION 'the extension pg_trgm is not installed in this database'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'As a role that may create extensions, run: CREATE EXTENSION pg_trgm';
    END IF;
    EXECUTE format(
        'SELECT l.id::bigint, l.title::text, l.likeness
         FROM (
             SELECT c.id, c.title, %1$I.similarity(left(c.body, $4), $2) AS likeness
             FROM public.content_generation_tasks AS t
             CROSS JOIN LATERAL (
                 SELECT o.id, o.title, o.body
                 FROM public.contents AS o
                 WHERE o.account_id = t.account_id
                   AND o.review_status <> ''rejected''
                   AND o.id IS DISTINCT FROM t.content_id
                 ORDER BY o.account_id DESC, (o.id + 0) DESC
                 LIMIT $3
             ) AS c
             WHERE t.id = $1
         ) AS l
         ORDER BY l.likeness DESC, l.id DESC
         LIMIT 1', trigrams)
    INTO content_id, title, likeness
    USING most_alike.id, left(most_alike.body, most_characters), greatest(most_alike.last, 0), most_characters;
    IF content_id IS NOT NULL THEN
        RETURN NEXT;
    END IF;
END;
$_$;

-- Name: FUNCTION most_alike(id bigint, body text, last integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.most_alike(id bigint, body text, last integer) IS 'Which of the latest contents of a task''s account a text resembles most, by trigrams (extension pg_trgm), with the likeness from 0 to 1.';

-- Name: next_accounts(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.next_accounts(task_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT n.account_id
        FROM (
            SELECT l.priority, l.submitted_at, l.id
            FROM public.content_generation_tasks AS l
            WHERE l.id = next_accounts.task_id
        ) AS l
        CROSS JOIN LATERAL (
            SELECT t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND t.priority = l.priority
              AND (t.submitted_at, t.id) > (l.submitted_at, l.id)
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT 1000
        ) AS n
    );
END;
$$;

-- Name: FUNCTION next_accounts(task_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.next_accounts(task_id bigint) IS 'Internal: the accounts of the ready tasks that follow a task in strict order.';

-- Name: next_batch(bigint, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.next_batch(worker_id bigint, provider text) RETURNS TABLE(id bigint, key uuid, model text, requests integer, status text, provider_id text, input_file text, opened_at timestamp with time zone, tending integer, failures integer, wanted bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    own_login constant text := session_user;
    due bigint;
BEGIN
    IF NOT contentq.is_own_worker(next_batch.worker_id) THEN
        RETURN;
    END IF;
    SELECT b.id
    INTO due
    FROM contentq.provider_batches AS b
    WHERE b.provider = next_batch.provider
      AND b.login = own_login
      AND b.ended_at IS NULL
      AND b.due_at <= now_
      AND (b.tended_by IS NULL
           OR b.tended_until < now_
           OR NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = b.tended_by))
    ORDER BY b.due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE contentq.provider_batches AS b
    SET tended_by = next_batch.worker_id,
        tended_until = now_ + interval '1 minute',
        tending = b.tending + 1
    WHERE b.id = due;
    RETURN QUERY
    SELECT b.id, b.key, b.model, b.requests, b.status, b.provider_id, b.input_file, b.opened_at, b.tending, b.failures,
           (SELECT count(*)
            FROM contentq.batch_requests AS r
            JOIN public.content_generation_tasks AS t ON t.id = r.id
            WHERE r.batch_id = due
              AND r.answered_at IS NULL
              AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt))
    FROM contentq.provider_batches AS b
    WHERE b.id = due;
END;
$$;

-- Name: FUNCTION next_batch(worker_id bigint, provider text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.next_batch(worker_id bigint, provider text) IS 'Leases a due batch of this provider and this login to the worker for a minute. Returns the batch and how many tasks wait for it; no row if no batch is due.';

-- Name: next_claim_in(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.next_claim_in(worker_id bigint) RETURNS interval
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    wait record;
    due timestamptz;
BEGIN
    PERFORM contentq.is_own_worker(next_claim_in.worker_id);
    SELECT count(*) AS number, CASE WHEN bool_and(r.next_in IS NOT NULL) THEN max(r.next_in) END AS next_in
    INTO wait
    FROM contentq.workers AS w
    CROSS JOIN LATERAL contentq.worker_wait(w) AS r
    WHERE w.id = next_claim_in.worker_id;
    IF wait.number > 0 THEN
        -- greatest() ignores NULL.
        RETURN CASE WHEN wait.next_in IS NOT NULL THEN greatest(wait.next_in, interval '0') END;
    ELSIF current_setting('contentq.look_again', true) = 'yes' OR contentq.are_tasks_coming() THEN
        RETURN interval '5 milliseconds';
    END IF;

    due := (
        SELECT t.scheduled_at
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at < 'infinity'
        ORDER BY t.scheduled_at
        LIMIT 1
    );
    -- No notification arrives for ready tasks that could not be claimed, for example when an account has room again.
    IF (SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
        ORDER BY t.priority DESC, t.submitted_at, t.id
        LIMIT 1) IS NOT NULL
    THEN
        due := least(due, clock_timestamp() + interval '1 second');
    END IF;
    RETURN CASE WHEN due IS NOT NULL THEN greatest(due - clock_timestamp(), interval '0') END;
END;
$$;

-- Name: FUNCTION next_claim_in(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.next_claim_in(worker_id bigint) IS 'Time until there may be more for a worker to claim: until its gate allows it or a scheduled task becomes ready; one second while ready tasks may not start; NULL if no such time is known. Call it in the statement of the claim.';

-- Name: note_answers(bigint, integer, timestamp with time zone, numeric, bigint[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_answers(worker_id bigint, answered integer, last_began_at timestamp with time zone, tokens numeric DEFAULT 0, ids bigint[] DEFAULT NULL::bigint[], usages text[] DEFAULT NULL::text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    gate_key text;
    has_several boolean;
BEGIN
    IF coalesce(note_answers.answered, 0) < 1 AND coalesce(note_answers.tokens, 0) = 0 THEN
        RETURN;
    END IF;
    SELECT w.gate, w.gates IS NOT NULL INTO gate_key, has_several FROM contentq.workers AS w WHERE w.id = note_answers.worker_id;
    IF has_several THEN
        PERFORM contentq.note_gate_answers(note_answers.worker_id, note_answers.ids, note_answers.usages, note_answers.answered > 0);
    END IF;
    IF gate_key IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM contentq.claimers AS c WHERE c.worker_id = note_answers.worker_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE contentq.claimers AS c
    SET answered = c.answered + note_answers.answered,
        last_answered = greatest(c.last_answered, note_answers.last_began_at),
        tokens = c.tokens + coalesce(note_answers.tokens, 0)
    WHERE c.worker_id = note_answers.worker_id;
    PERFORM contentq.wake_half_open(gate_key, note_answers.last_began_at);
END;
$$;

-- Name: FUNCTION note_answers(worker_id bigint, answered integer, last_began_at timestamp with time zone, tokens numeric, ids bigint[], usages text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_answers(worker_id bigint, answered integer, last_began_at timestamp with time zone, tokens numeric, ids bigint[], usages text[]) IS 'Internal: counts attempts that a provider answered, for the gate of their worker, or the gates that they entered.';

-- Name: note_batch(bigint, bigint, integer, text, text, text, integer, integer, timestamp with time zone, text, interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_batch(worker_id bigint, batch_id bigint, tending integer, input_file text DEFAULT NULL::text, provider_id text DEFAULT NULL::text, status text DEFAULT NULL::text, completed integer DEFAULT NULL::integer, failed integer DEFAULT NULL::integer, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, due_in interval DEFAULT NULL::interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    is_sent boolean;
BEGIN
    IF length(note_batch.provider_id) > 500 THEN
        RAISE EXCEPTION 'the id of a batch has % characters; at most 500 are stored', length(note_batch.provider_id)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM contentq.hold_batch(note_batch.worker_id, note_batch.batch_id, note_batch.tending);
    is_sent := note_batch.provider_id IS NOT NULL AND EXISTS (
        SELECT FROM contentq.provider_batches AS b WHERE b.id = note_batch.batch_id AND b.provider_id IS NULL
    );
    UPDATE contentq.provider_batches AS b
    SET input_file = coalesce(contentq.shorten(note_batch.input_file, 500), b.input_file),
        provider_id = coalesce(note_batch.provider_id, b.provider_id),
        sent_at = CASE WHEN is_sent THEN now_ ELSE b.sent_at END,
        status = coalesce(contentq.shorten(note_batch.status, 50), b.status),
        completed = coalesce(note_batch.completed, b.completed),
        failed = coalesce(note_batch.failed, b.failed),
        expires_at = coalesce(note_batch.expires_at, b.expires_at),
        error = contentq.shorten(note_batch.error, 2000),
        failures = CASE WHEN note_batch.error IS NULL THEN 0 ELSE b.failures + 1 END,
        due_at = CASE
            WHEN note_batch.due_in IS NULL THEN b.due_at
            ELSE now_ + least(greatest(note_batch.due_in, '0'), '1 day')
        END,
        tended_by = CASE WHEN note_batch.due_in IS NULL THEN b.tended_by END
    WHERE b.id = note_batch.batch_id;
    IF is_sent THEN
        UPDATE contentq.batch_requests AS r
        SET sendings = r.sendings + 1
        WHERE r.batch_id = note_batch.batch_id;
        UPDATE public.content_generation_tasks AS t
        SET handler_state = t.handler_state || jsonb_build_object('batch', note_batch.provider_id),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id IN (
            SELECT w.id
            FROM contentq.batch_requests AS r
            JOIN public.content_generation_tasks AS w ON w.id = r.id
            WHERE r.batch_id = note_batch.batch_id
              AND contentq.is_batch_wanted(w.status, w.handler_state, r.attempt)
              -- A task may have been given more state since; the batch must not fail because of it.
              AND octet_length((w.handler_state || jsonb_build_object('batch', note_batch.provider_id))::text) <= 8192
            ORDER BY w.id
            FOR NO KEY UPDATE OF w SKIP LOCKED
        );
    END IF;
END;
$$;

-- Name: FUNCTION note_batch(worker_id bigint, batch_id bigint, tending integer, input_file text, provider_id text, status text, completed integer, failed integer, expires_at timestamp with time zone, error text, due_in interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_batch(worker_id bigint, batch_id bigint, tending integer, input_file text, provider_id text, status text, completed integer, failed integer, expires_at timestamp with time zone, error text, due_in interval) IS 'Records the state of a batch that the worker leases; due_in returns the lease for that time, a day at most.';

-- Name: note_budgets(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_budgets() RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    warning constant numeric := (SELECT s.budget_warning FROM contentq.settings AS s);
    each record;
    is_noted boolean := false;
BEGIN
    DELETE FROM contentq.budget_events AS e
    WHERE e.began_on <> contentq.budget_start(e.period);
    FOR each IN
        SELECT b.*, s.spent, e.id, e.amount AS amount_then, e.used_up_at, s.spent >= b.amount AS is_used_up
        FROM (
            SELECT a.id::bigint AS account_id, NULL::text AS category, 'month' AS period, a.monthly_budget AS amount
            FROM public.accounts AS a
            WHERE a.monthly_budget IS NOT NULL
            UNION ALL
            SELECT g.account_id, g.category, g.period, g.amount
            FROM contentq.budgets AS g
        ) AS b
        CROSS JOIN LATERAL contentq.budget_spent(b.account_id, b.category, b.period) AS s (spent)
        LEFT JOIN contentq.budget_events AS e
            ON e.account_id IS NOT DISTINCT FROM b.account_id
            AND e.category IS NOT DISTINCT FROM b.category
            AND e.period = b.period
        WHERE s.spent >= b.amount * least(coalesce(warning, 1), 1)
          AND (e.id IS NULL OR e.amount <> b.amount OR s.spent >= b.amount AND e.used_up_at IS NULL)
        ORDER BY b.account_id, b.category, b.period
    LOOP
        is_noted := true;
        IF each.id IS NOT NULL AND each.amount_then = each.amount THEN
            UPDATE contentq.budget_events AS e SET used_up_at = clock_timestamp() WHERE e.id = each.id;
        ELSE
            DELETE FROM contentq.budget_events AS e WHERE e.id = each.id;
            INSERT INTO contentq.budget_events (account_id, category, period, began_on, amount, near_at, used_up_at)
            VALUES (each.account_id, each.category, each.period, contentq.budget_start(each.period), each.amount,
                    clock_timestamp(), CASE WHEN each.is_used_up THEN clock_timestamp() END);
        END IF;
        RETURN NEXT format('the budget of %s%s for %s %s: %s of %s',
                           coalesce('account ' || each.account_id, 'all accounts'),
                           ' for category ' || quote_literal(each.category),
                           CASE each.period WHEN 'day' THEN 'today' ELSE 'this month' END,
                           CASE WHEN each.is_used_up THEN 'is used up'
                                ELSE format('has passed %s %%', trim_scale(100 * warning)) END,
                           contentq.budget_cost(each.spent, each.amount), each.amount);
    END LOOP;
    IF is_noted AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_budgets', '');
    END IF;
END;
$$;

-- Name: FUNCTION note_budgets(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_budgets() IS 'Internal: records which budgets are near their end or used up, and notifies contentq_budgets once for each.';

-- Name: note_calls(contentq.workers, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_calls(worker contentq.workers, number integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF worker.gate IS NOT NULL THEN
        UPDATE contentq.claimers AS c
        SET calls = c.calls + note_calls.number
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = (note_calls.worker).id
                             FOR NO KEY UPDATE SKIP LOCKED);
        PERFORM contentq.spend_gate(worker.gate, note_calls.number);
    END IF;
    PERFORM contentq.spend_gate('*', note_calls.number);
END;
$$;

-- Name: FUNCTION note_calls(worker contentq.workers, number integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_calls(worker contentq.workers, number integer) IS 'Internal: counts the tasks that a worker with a gate starts, and takes them from the bucket of its gate.';

-- Name: note_failure(public.content_generation_tasks, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_failure(task public.content_generation_tasks, permanent boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $_$
DECLARE
    others constant bigint[] := ARRAY(
        SELECT DISTINCT (e.error->>'worker_id')::bigint
        FROM jsonb_array_elements(task.attempt_errors) AS e (error)
        WHERE jsonb_typeof(e.error->'worker_id') = 'number'
          AND e.error->>'worker_id' ~ '^[0-9]{1,18}$'
          AND e.error->>'worker_id' <> task.worker_id::text
    );
    is_quick constant boolean := task.started_at > clock_timestamp() - interval '1 second';
BEGIN
    IF note_failure.permanent THEN
        RETURN;
    ELSIF cardinality(others) > 0 OR NOT is_quick THEN
        PERFORM contentq.clear_failures(others || CASE WHEN is_quick THEN '{}' ELSE ARRAY[task.worker_id] END);
    ELSE
        UPDATE contentq.claimers AS c
        SET quick_failures = c.quick_failures + 1,
            failed_at = clock_timestamp()
        WHERE c.worker_id = (SELECT l.worker_id
                             FROM contentq.claimers AS l
                             WHERE l.worker_id = task.worker_id
                             FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
END;
$_$;

-- Name: FUNCTION note_failure(task public.content_generation_tasks, permanent boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_failure(task public.content_generation_tasks, permanent boolean) IS 'Internal: counts the quick failures of a worker, so that a worker whose tasks all fail slows down.';

-- Name: note_gate_answers(bigint, bigint[], text[], boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_gate_answers(worker_id bigint, ids bigint[], usages text[], is_answered boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT t.gate,
               count(*) AS number,
               max(t.gate_entered_at) AS last_entered_at,
               coalesce(sum(contentq.usage_amount(r.usage::jsonb->'prompt_tokens')
                            + contentq.usage_amount(r.usage::jsonb->'completion_tokens')), 0) AS tokens
        FROM unnest(note_gate_answers.ids, note_gate_answers.usages) AS r (id, usage)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE t.gate IS NOT NULL
        GROUP BY t.gate
        ORDER BY t.gate
    LOOP
        PERFORM contentq.count_at_gate(
            note_gate_answers.worker_id, each.gate, 0, CASE WHEN note_gate_answers.is_answered THEN each.number ELSE 0 END,
            CASE WHEN note_gate_answers.is_answered THEN each.last_entered_at END, each.tokens
        );
        IF note_gate_answers.is_answered THEN
            PERFORM contentq.wake_half_open(each.gate, each.last_entered_at);
        END IF;
    END LOOP;
END;
$$;

-- Name: FUNCTION note_gate_answers(worker_id bigint, ids bigint[], usages text[], is_answered boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_gate_answers(worker_id bigint, ids bigint[], usages text[], is_answered boolean) IS 'Internal: counts answers and tokens of attempts of a worker with several gates, at the gates that they have entered.';

-- Name: note_gate_event(text, timestamp with time zone, text, timestamp with time zone, text, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_gate_event(key text, began_at timestamp with time zone, kind text, until timestamp with time zone DEFAULT NULL::timestamp with time zone, message text DEFAULT NULL::text, now_ timestamp with time zone DEFAULT clock_timestamp()) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    INSERT INTO contentq.gate_events (key, at, began_at, kind, until, message, calls, answered)
    SELECT note_gate_event.key, note_gate_event.now_, note_gate_event.began_at, note_gate_event.kind,
           -- least() ignores NULL.
           CASE WHEN note_gate_event.until IS NOT NULL
                THEN least(note_gate_event.until, note_gate_event.now_ + interval '1 hour') END,
           contentq.shorten(note_gate_event.message, 500), t.calls, t.answered
    FROM contentq.gate_totals(note_gate_event.key) AS t;
$$;

-- Name: FUNCTION note_gate_event(key text, began_at timestamp with time zone, kind text, until timestamp with time zone, message text, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_gate_event(key text, began_at timestamp with time zone, kind text, until timestamp with time zone, message text, now_ timestamp with time zone) IS 'Internal: records that a provider refused a call or did not answer it.';

-- Name: note_look_again(boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_look_again(look_again boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF note_look_again.look_again THEN
        PERFORM set_config('contentq.look_again', 'yes', true);
    ELSIF current_setting('contentq.look_again', true) <> '' THEN
        PERFORM set_config('contentq.look_again', '', true);
    END IF;
END;
$$;

-- Name: FUNCTION note_look_again(look_again boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_look_again(look_again boolean) IS 'Internal: tells next_claim_in() in the same transaction whether to claim again in a moment.';

-- Name: note_unanswered(text, timestamp with time zone, integer, interval, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_unanswered(key text, began_at timestamp with time zone, retry_count integer, retry_after interval, message text) RETURNS interval
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    spread constant interval := interval '10 seconds';
    now_ constant timestamptz := clock_timestamp();
    gate contentq.gates;
    totals record;
BEGIN
    IF note_unanswered.key IS NULL OR note_unanswered.key = '*' THEN
        RETURN retry_after;
    END IF;
    PERFORM contentq.note_gate_event(
        note_unanswered.key, note_unanswered.began_at, 'unanswered', now_ + retry_after, note_unanswered.message
    );
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = note_unanswered.key;
    gate.key := note_unanswered.key;
    gate.opens_at := coalesce(gate.opens_at, '-infinity');
    IF NOT coalesce(gate.half_open, false) THEN
        SELECT t.* INTO totals FROM contentq.gate_totals(note_unanswered.key) AS t;
        IF contentq.gate_outage(gate, totals.answered, totals.last_answered, now_) IS NULL THEN
            RETURN retry_after;
        END IF;
    END IF;
    RETURN greatest(
        note_unanswered.retry_after,
        least(greatest(gate.opens_at, now_ + interval '1 second'), now_ + interval '1 minute') - now_
        + spread * (note_unanswered.retry_count + 1) * (0.5 + 0.5 * random())
    );
END;
$$;

-- Name: FUNCTION note_unanswered(key text, began_at timestamp with time zone, retry_count integer, retry_after interval, message text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_unanswered(key text, began_at timestamp with time zone, retry_count integer, retry_after interval, message text) IS 'Internal: records that a provider did not answer a call; returns the delay of the retry.';

-- Name: note_waiters(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.note_waiters() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    found constant text := CASE WHEN EXISTS (SELECT FROM contentq.awaited) THEN 'some' ELSE 'none' END;
BEGIN
    PERFORM set_config('contentq.waiters', found, true);
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END;
$$;

-- Name: FUNCTION note_waiters(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.note_waiters() IS 'Trigger: records whether any session waits for the end of a task, for the rest of the transaction.';

-- Name: notify_ready(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.notify_ready() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_ready', '');
    END IF;
END;
$$;

-- Name: FUNCTION notify_ready(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.notify_ready() IS 'Internal: notifies channel contentq_ready, without a payload, unless the notification queue is filling up.';

-- Name: notify_reviewers(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.notify_reviewers() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF (SELECT s.notify_reviewers FROM contentq.settings AS s) AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('contentq_review', '');
    END IF;
END;
$$;

-- Name: FUNCTION notify_reviewers(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.notify_reviewers() IS 'Internal: notifies channel contentq_review, without a payload, if settings.notify_reviewers is on.';

-- Name: notify_waiters(text, text, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.notify_waiters(kind text, name text, sends boolean DEFAULT true) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    channel constant text := format('contentq_%s_%s', notify_waiters.kind, md5(notify_waiters.name));
BEGIN
    IF notify_waiters.sends AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify(channel, '');
    END IF;
    RETURN channel;
END;
$$;

-- Name: FUNCTION notify_waiters(kind text, name text, sends boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.notify_waiters(kind text, name text, sends boolean) IS 'Internal: notifies the sessions that wait for a task or a batch, without a payload; returns the channel.';

-- Name: provider_batches; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.provider_batches (
    id bigint NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    key uuid DEFAULT gen_random_uuid() NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    status text DEFAULT 'opening'::text NOT NULL,
    requests integer NOT NULL,
    completed integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    provider_id text,
    input_file text,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent_at timestamp with time zone,
    expires_at timestamp with time zone,
    ended_at timestamp with time zone,
    error text,
    failures integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    tended_by bigint,
    tended_until timestamp with time zone,
    tending integer DEFAULT 1 NOT NULL,
    CONSTRAINT provider_batches_due_at_check CHECK (isfinite(due_at)),
    CONSTRAINT provider_batches_ended_at_check CHECK (isfinite(ended_at)),
    CONSTRAINT provider_batches_expires_at_check CHECK (isfinite(expires_at)),
    CONSTRAINT provider_batches_requests_check CHECK ((requests > 0)),
    CONSTRAINT provider_batches_sent_at_check CHECK (isfinite(sent_at))
)
WITH (fillfactor='50');

-- Name: TABLE provider_batches; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.provider_batches IS 'Batches of requests at a provider, or about to be sent; the view provider_batch_status shows them. Rows are deleted after settings.retention, or 30 days if that is NULL.';

-- Name: COLUMN provider_batches.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.id IS 'Identifier of the row.';

-- Name: COLUMN provider_batches.login; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.login IS 'The login that opened it; only its workers tend it.';

-- Name: COLUMN provider_batches.key; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.key IS 'Stored in the metadata of the batch at the provider, to find the batch again after a crash.';

-- Name: COLUMN provider_batches.provider; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.provider IS 'The address of its API.';

-- Name: COLUMN provider_batches.model; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.model IS 'The model of the requests.';

-- Name: COLUMN provider_batches.status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.status IS 'opening until the provider is known to have it, then the status of the provider; withdrawn if the provider never had it; abandoned if no worker of its login looked at it for three days.';

-- Name: COLUMN provider_batches.requests; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.requests IS 'Number of requests in it.';

-- Name: COLUMN provider_batches.completed; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.completed IS 'Number of completed requests, as the provider reports it.';

-- Name: COLUMN provider_batches.failed; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.failed IS 'Number of failed requests, as the provider reports it.';

-- Name: COLUMN provider_batches.provider_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.provider_id IS 'Its id at the provider; NULL until it is known.';

-- Name: COLUMN provider_batches.input_file; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.input_file IS 'The id of the file of requests at the provider.';

-- Name: COLUMN provider_batches.opened_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.opened_at IS 'When its requests were chosen.';

-- Name: COLUMN provider_batches.sent_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.sent_at IS 'When the provider was known to have it.';

-- Name: COLUMN provider_batches.expires_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.expires_at IS 'When the provider expires unfinished requests.';

-- Name: COLUMN provider_batches.ended_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.ended_at IS 'When all answers were stored.';

-- Name: COLUMN provider_batches.error; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.error IS 'The latest error; NULL if the last check succeeded.';

-- Name: COLUMN provider_batches.failures; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.failures IS 'Number of failed checks in a row.';

-- Name: COLUMN provider_batches.due_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.due_at IS 'When to check it next.';

-- Name: COLUMN provider_batches.tended_by; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.tended_by IS 'The worker that leases it; NULL for none.';

-- Name: COLUMN provider_batches.tended_until; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.tended_until IS 'When the lease ends unless it is renewed.';

-- Name: COLUMN provider_batches.tending; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.provider_batches.tending IS 'Fencing token: increased by each new lease.';

-- Name: open_batch(bigint, text, integer, bigint, interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.open_batch(worker_id bigint, provider text, max_requests integer, max_bytes bigint, gather_for interval) RETURNS SETOF contentq.provider_batches
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    own_login constant text := session_user;
    oldest contentq.batch_requests;
    chosen_ids bigint[];
    chosen_attempts integer[];
    is_full boolean;
    opened contentq.provider_batches;
BEGIN
    IF NOT contentq.is_own_worker(open_batch.worker_id) THEN
        RETURN;
    END IF;
    SELECT r.*
    INTO oldest
    FROM contentq.batch_requests AS r
    WHERE r.provider = open_batch.provider
      AND r.login = own_login
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
      AND r.due_at <= now_
    ORDER BY r.due_at, r.id, r.attempt
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM
    FROM contentq.batch_requests AS r
    WHERE r.id = oldest.id
      AND r.attempt = oldest.attempt
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT w.id, w.attempt
        FROM contentq.batch_requests AS w
        WHERE w.provider = open_batch.provider
          AND w.login = own_login
          AND w.batch_id IS NULL
          AND w.answered_at IS NULL
          AND w.due_at <= now_
          AND NOT EXISTS (SELECT
                          FROM public.content_generation_tasks AS t
                          WHERE t.id = w.id
                            AND contentq.is_batch_wanted(t.status, t.handler_state, w.attempt))
        ORDER BY w.due_at, w.id, w.attempt
        LIMIT 50000
        FOR UPDATE SKIP LOCKED
    );

    SELECT array_agg(f.id), array_agg(f.attempt),
           count(*) >= open_batch.max_requests OR bool_or(f.total > open_batch.max_bytes)
    INTO chosen_ids, chosen_attempts, is_full
    FROM (
        SELECT r.id, r.attempt,
               sum(octet_length(r.body)::bigint + 200) OVER (ORDER BY r.due_at, r.id, r.attempt) AS total
        FROM contentq.batch_requests AS r
        WHERE r.provider = open_batch.provider
          AND r.login = own_login
          AND r.model = oldest.model
          AND r.batch_id IS NULL
          AND r.answered_at IS NULL
          AND r.due_at <= now_
        ORDER BY r.due_at, r.id, r.attempt
        LIMIT open_batch.max_requests
    ) AS f;
    IF chosen_ids IS NULL OR NOT is_full AND oldest.due_at > now_ - open_batch.gather_for THEN
        RETURN;
    END IF;

    INSERT INTO contentq.provider_batches (login, provider, model, requests, tended_by, tended_until)
    VALUES (own_login, open_batch.provider, oldest.model, cardinality(chosen_ids), open_batch.worker_id,
            now_ + interval '1 minute')
    RETURNING * INTO opened;
    UPDATE contentq.batch_requests AS r
    SET batch_id = opened.id
    FROM (
        SELECT w.id, w.attempt, sum(octet_length(b.body)::bigint + 200) OVER (ORDER BY w.place) AS total, w.place
        FROM unnest(chosen_ids, chosen_attempts) WITH ORDINALITY AS w (id, attempt, place)
        JOIN contentq.batch_requests AS b ON b.id = w.id AND b.attempt = w.attempt
    ) AS c
    WHERE r.id = c.id
      AND r.attempt = c.attempt
      AND r.batch_id IS NULL
      AND r.answered_at IS NULL
      AND (c.total <= open_batch.max_bytes OR c.place = 1);
    GET DIAGNOSTICS opened.requests = ROW_COUNT;
    -- Another worker may have put all of them into a batch since they were chosen.
    IF opened.requests = 0 THEN
        DELETE FROM contentq.provider_batches AS b WHERE b.id = opened.id;
        RETURN;
    END IF;
    UPDATE contentq.provider_batches AS b
    SET requests = opened.requests
    WHERE b.id = opened.id;
    RETURN NEXT opened;
END;
$$;

-- Name: FUNCTION open_batch(worker_id bigint, provider text, max_requests integer, max_bytes bigint, gather_for interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.open_batch(worker_id bigint, provider text, max_requests integer, max_bytes bigint, gather_for interval) IS 'Creates a batch from requests that this login made with ask_batch() when the oldest has waited for gather_for or the batch would be full; the worker leases it for a minute. No row if none is due.';

-- Name: open_categories(text[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.open_categories(categories text[], blocked text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(blocked) = 0 THEN
        RETURN categories;
    ELSIF categories IS NOT NULL THEN
        RETURN ARRAY(SELECT c.category FROM unnest(categories) AS c (category) WHERE left(c.category, 200) <> ALL (blocked));
    END IF;
    RETURN ARRAY(
        WITH RECURSIVE ready AS (
            (SELECT p.priority, f.category
             FROM generate_series(1, 10) AS p (priority)
             CROSS JOIN LATERAL (
                 SELECT t.category
                 FROM public.content_generation_tasks AS t
                 WHERE t.status = 'pending'
                   AND t.scheduled_at IS NULL
                   AND t.category IS NOT NULL
                   AND (10 - t.priority) = 10 - p.priority
                 ORDER BY (10 - t.priority), t.category
                 LIMIT 1
             ) AS f)
            UNION ALL
            SELECT r.priority, n.category
            FROM ready AS r
            CROSS JOIN LATERAL (
                SELECT t.category
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'pending'
                  AND t.scheduled_at IS NULL
                  AND t.category IS NOT NULL
                  AND (10 - t.priority) = 10 - r.priority
                  AND t.category > r.category
                ORDER BY (10 - t.priority), t.category
                LIMIT 1
            ) AS n
        )
        SELECT c.category
        FROM (
            SELECT DISTINCT r.category::text AS category
            FROM ready AS r
            WHERE left(r.category, 200) <> ALL (blocked)
        ) AS c
        ORDER BY random()
        LIMIT 1000
    ) || CASE WHEN '' = ANY (blocked) THEN '{}' ELSE ARRAY[NULL::text] END;
END;
$$;

-- Name: FUNCTION open_categories(categories text[], blocked text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.open_categories(categories text[], blocked text[]) IS 'Internal: the categories that a claim searches while budgets block some.';

-- Name: open_gate(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.open_gate(key text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
BEGIN
    UPDATE contentq.gates AS g
    SET opens_at = clock_timestamp()
    WHERE g.key = open_gate.key
      AND g.opens_at > clock_timestamp();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM contentq.notify_ready();
    RETURN true;
END;
$$;

-- Name: FUNCTION open_gate(key text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.open_gate(key text) IS 'Opens a gate before its time; returns whether it was closed.';

-- Name: over_budget(bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.over_budget(account_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    RETURN ARRAY(
        SELECT u.id
        FROM unnest(over_budget.account_ids) AS u (id)
        WHERE EXISTS (
            SELECT
            FROM (
                SELECT 'month' AS period, a.monthly_budget AS amount
                FROM public.accounts AS a
                WHERE a.id = u.id
                  AND a.monthly_budget IS NOT NULL
                UNION ALL
                SELECT g.period, g.amount
                FROM contentq.budgets AS g
                WHERE g.account_id = u.id
                  AND g.category IS NULL
            ) AS b
            WHERE contentq.budget_spent(u.id, NULL, b.period) >= b.amount
               OR (contentq.budget_room(u.id, NULL, b.period, b.amount)).is_full
        )
    );
END;
$$;

-- Name: FUNCTION over_budget(account_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.over_budget(account_ids bigint[]) IS 'Internal: those of these accounts for which a budget allows nothing more to start.';

-- Name: own_wait(contentq.workers); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.own_wait(worker contentq.workers) RETURNS TABLE(next_in interval, why text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT NULL::interval, 'it is draining: it claims no more tasks and is about to stop'
    WHERE worker.draining
    UNION ALL
    SELECT CASE WHEN r.is_running THEN NULL ELSE f.next_in END,
           format('it keeps failing: %s quick failures in a row; it tries one task at a time%s', c.quick_failures,
                  CASE WHEN r.is_running THEN ', and one is running'
                       ELSE format(', the next in %s s', round(extract(epoch FROM f.next_in)::numeric, 1)) END)
    FROM contentq.claimers AS c
    CROSS JOIN contentq.failing_wait(worker.id) AS f (next_in)
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT
                       FROM public.content_generation_tasks AS t
                       WHERE t.worker_id = c.worker_id
                         AND t.status = 'processing') AS is_running
    ) AS r
    WHERE c.worker_id = worker.id
      AND (f.next_in > interval '0' OR f.next_in IS NOT NULL AND r.is_running);
$$;

-- Name: FUNCTION own_wait(worker contentq.workers); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.own_wait(worker contentq.workers) IS 'Internal: what in the state of a worker keeps it from starting a task: for how long, and why; no rows for nothing.';

-- Name: promote_scheduled(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.promote_scheduled(max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    due bigint[];
BEGIN
    due := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at, t.priority DESC, t.submitted_at, t.id
        LIMIT promote_scheduled.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(due) > 0 THEN
        UPDATE public.content_generation_tasks
        SET scheduled_at = NULL,
            -- greatest() also covers -infinity: a task does not wait before its submission.
            ready_at = greatest(scheduled_at, submitted_at),
            updated_at = CURRENT_TIMESTAMP
        WHERE id = ANY (due);
    END IF;
    RETURN cardinality(due);
END;
$$;

-- Name: FUNCTION promote_scheduled(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.promote_scheduled(max_rows integer) IS 'Makes up to max_rows tasks ready whose scheduled_at has passed; returns how many.';

-- Name: raise_not_registered(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.raise_not_registered(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM contentq.is_own_worker(raise_not_registered.worker_id);
    RAISE EXCEPTION 'worker % is not registered', raise_not_registered.worker_id
        USING ERRCODE = 'CQ001',
              DETAIL = 'It never registered, it has stopped, or it sent no heartbeat for so long that its tasks were rescued.',
              HINT = 'Stop its handlers (their outcomes no longer count) and call contentq.register_worker() to get a new id.';
END;
$$;

-- Name: FUNCTION raise_not_registered(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.raise_not_registered(worker_id bigint) IS 'Internal: raises CQ001 for this worker, or CQ003 if another login registered it.';

-- Name: reached_places(jsonb, bigint[], boolean, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.reached_places(heads jsonb, chosen bigint[], is_full boolean, began timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    -- Excludes the last second: its tasks may not be committed yet.
    latest constant timestamptz := reached_places.began - interval '1 second';
    found jsonb := jsonb '{}';
    least_urgent integer := CASE WHEN reached_places.is_full THEN 10 ELSE 0 END;
BEGIN
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole one.
    IF cardinality(reached_places.chosen) > 0 THEN
        SELECT jsonb_object_agg(l.priority, l.place), CASE WHEN reached_places.is_full THEN min(l.priority) ELSE 0 END
        INTO found, least_urgent
        FROM (
            SELECT DISTINCT ON (t.priority) t.priority,
                   CASE WHEN t.submitted_at < latest THEN jsonb_build_array(t.submitted_at, t.id)
                        ELSE jsonb_build_array(latest, 0) END AS place
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (reached_places.chosen)
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
        ) AS l;
    END IF;
    IF reached_places.heads IS NOT NULL THEN
        RETURN reached_places.heads || found;
    END IF;
    -- A full scan has seen everything more urgent than the last task it chose, and everything if it chose too few.
    RETURN (
        SELECT coalesce(jsonb_object_agg(p.priority, jsonb_build_array(latest, 0)), '{}')
        FROM generate_series(1, 10) AS p (priority)
        WHERE p.priority > least_urgent
    ) || found;
END;
$$;

-- Name: FUNCTION reached_places(heads jsonb, chosen bigint[], is_full boolean, began timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.reached_places(heads jsonb, chosen bigint[], is_full boolean, began timestamp with time zone) IS 'Internal: how far a scan in strict order came in each priority.';

-- Name: ready_accounts(integer, bigint, integer, bigint[], integer, jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.ready_accounts(urgency integer, after_account bigint, number integer, blocked bigint[], most integer DEFAULT 5000, places jsonb DEFAULT NULL::jsonb) RETURNS TABLE(account_id bigint, first_submitted_at timestamp with time zone, first_id bigint, is_blocked boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET enable_incremental_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    IF ready_accounts.places IS NOT NULL THEN
        RETURN QUERY
        SELECT p.account_id, n.submitted_at, n.id, p.account_id IN (SELECT unnest(ready_accounts.blocked))
        FROM (
            SELECT e.key::bigint AS account_id, (e.value->>0)::timestamptz AS submitted_at, (e.value->>1)::bigint AS id
            FROM jsonb_each(ready_accounts.places) AS e
        ) AS p
        CROSS JOIN LATERAL (
            SELECT t.submitted_at, t.id::bigint AS id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - ready_accounts.urgency
              AND t.account_id = p.account_id
              AND (t.submitted_at, t.id) > (p.submitted_at, p.id)
            ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
            LIMIT 1
        ) AS n
        WHERE p.account_id > ready_accounts.after_account
        ORDER BY p.account_id;
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE heads AS (
        SELECT NULL::timestamptz AS submitted_at,
               NULL::bigint AS id,
               ready_accounts.after_account AS account_id,
               NULL::boolean AS is_blocked,
               0 AS free,
               0 AS place
        UNION ALL
        SELECT n.submitted_at, n.id, n.account_id, i.is_blocked, h.free + (NOT i.is_blocked)::integer, h.place + 1
        FROM heads AS h
        CROSS JOIN LATERAL (
            SELECT t.submitted_at, t.id::bigint AS id, t.account_id::bigint AS account_id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (10 - t.priority) = 10 - ready_accounts.urgency
              AND t.account_id > h.account_id
            ORDER BY (10 - t.priority), t.account_id, t.submitted_at, t.id
            LIMIT 1
        ) AS n
        -- IN hashes the array, ANY does not: thousands of accounts may be blocked.
        CROSS JOIN LATERAL (SELECT n.account_id IN (SELECT unnest(ready_accounts.blocked)) AS is_blocked) AS i
        WHERE h.free < ready_accounts.number
          AND h.place < ready_accounts.most
    )
    SELECT h.account_id, h.submitted_at, h.id, h.is_blocked
    FROM heads AS h
    WHERE h.place > 0;
END;
$$;

-- Name: FUNCTION ready_accounts(urgency integer, after_account bigint, number integer, blocked bigint[], most integer, places jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.ready_accounts(urgency integer, after_account bigint, number integer, blocked bigint[], most integer, places jsonb) IS 'Internal: accounts with ready tasks of a priority, each with the first of these tasks.';

-- Name: record_failure(bigint, text, text, boolean, interval, boolean, jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean DEFAULT true, state jsonb DEFAULT NULL::jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(record_failure.message, ''), 'no message given');
    kept_message constant text := contentq.shorten(full_message, 8000);
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN NOT record_failure.is_charged
                           OR NOT record_failure.permanent AND t.retry_count < t.max_retries
                      THEN 'pending' ELSE 'failed' END,
        retry_count = CASE WHEN record_failure.is_charged
                                AND NOT record_failure.permanent AND t.retry_count < t.max_retries
                           THEN t.retry_count + 1 ELSE t.retry_count END,
        scheduled_at = CASE WHEN NOT record_failure.permanent AND t.retry_count < t.max_retries
                                 AND record_failure.delay > interval '0'
                            THEN clock_timestamp() + record_failure.delay END,
        error_message = CASE WHEN record_failure.is_charged THEN kept_message ELSE t.error_message END,
        attempt_errors = contentq.add_error(
            t.attempt_errors, t.attempt, t.worker_id, record_failure.error_class, full_message
        ),
        handler_state = CASE WHEN record_failure.state IS NULL THEN t.handler_state
                             ELSE nullif(record_failure.state, '{}') END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = record_failure.id
    RETURNING t.status INTO new_status;
    PERFORM contentq.count_failure(record_failure.error_class);
    RETURN new_status;
END;
$$;

-- Name: FUNCTION record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean, state jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean, state jsonb) IS 'Internal: applies the retry rules to a failed attempt whose row the caller has locked; returns the new status.';

-- Name: record_usage(bigint, bigint[], integer[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    held_ids bigint[];
    held_usages text[];
BEGIN
    IF NOT contentq.is_own_worker(record_usage.worker_id) THEN
        RETURN;
    END IF;
    SELECT array_agg(h.id), array_agg(h.usage)
    INTO held_ids, held_usages
    FROM (
        SELECT t.id, r.usage
        FROM (
            SELECT DISTINCT ON (n.id, n.attempt) n.id, n.attempt, n.usage
            FROM unnest(record_usage.ids, record_usage.attempts, record_usage.usages)
                WITH ORDINALITY AS n (id, attempt, usage, place)
            ORDER BY n.id, n.attempt, n.place
        ) AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, record_usage.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t
    ) AS h;
    IF held_ids IS NOT NULL THEN
        PERFORM contentq.note_answers(
            record_usage.worker_id, 0, NULL, contentq.add_usage(held_ids, held_usages), held_ids, held_usages
        );
    END IF;
END;
$$;

-- Name: FUNCTION record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[]) IS 'Adds the cost of attempts that this worker still holds to the usage of their accounts. usages: JSON objects as text with model, prompt_tokens, completion_tokens and cost. Call it before the report that ends the attempt, in the same transaction; complete() and store() do it automatically with the results. An attempt that is named several times in a call counts once.';

-- Name: refuse_extras(text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.refuse_extras(extras text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    own constant text[] := ARRAY['success', 'content_id', 'word_count', 'failed_checks'];
BEGIN
    IF EXISTS (SELECT FROM unnest(refuse_extras.extras) AS e (extra) WHERE json_typeof(e.extra::json) <> 'object') THEN
        RAISE EXCEPTION 'extras must be JSON objects'
            USING ERRCODE = 'invalid_text_representation';
    END IF;
    IF EXISTS (SELECT
               FROM unnest(refuse_extras.extras) AS e (extra)
               CROSS JOIN LATERAL json_object_keys(e.extra::json) AS k (name)
               WHERE k.name = ANY (own))
    THEN
        RAISE EXCEPTION 'extras may not contain members that contentq sets in the result: %',
            array_to_string(own, ', ')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END;
$$;

-- Name: FUNCTION refuse_extras(extras text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_extras(extras text[]) IS 'Internal: raises an error if extras are not JSON objects or contain members that contentq sets in the result.';

-- Name: refuse_forged_task(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.refuse_forged_task() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    earliest constant timestamptz := CURRENT_TIMESTAMP - interval '5 minutes';
    latest constant timestamptz := clock_timestamp() + interval '5 minutes';
    sequence regclass;
    forged text[];
BEGIN
    IF NEW.status <> 'pending'
        OR NEW.attempt <> 0
        OR NEW.retry_count <> 0
        OR NEW.revision_count <> 0
        OR NEW.attempt_errors <> '[]'
        OR num_nonnulls(
            NEW.content_id, NEW.worker_id, NEW.started_at, NEW.completed_at, NEW.cancel_requested_at,
            NEW.progress, NEW.progress_note, NEW.gate, NEW.gate_entered_at, NEW.handler_state,
            NEW.error_message, NEW.result, NEW.revision_note, NEW.ready_at
        ) > 0
        OR least(NEW.submitted_at, NEW.created_at, NEW.updated_at) < earliest
        OR greatest(NEW.submitted_at, NEW.created_at, NEW.updated_at) > latest
    THEN
        forged := array_remove(
            ARRAY[
                CASE WHEN NEW.status <> 'pending' THEN 'status' END,
                CASE WHEN NEW.content_id IS NOT NULL THEN 'content_id' END,
                CASE WHEN NEW.retry_count <> 0 THEN 'retry_count' END,
                CASE WHEN NEW.attempt <> 0 THEN 'attempt' END,
                CASE WHEN NEW.worker_id IS NOT NULL THEN 'worker_id' END,
                CASE WHEN NEW.submitted_at NOT BETWEEN earliest AND latest THEN 'submitted_at' END,
                CASE WHEN NEW.started_at IS NOT NULL THEN 'started_at' END,
                CASE WHEN NEW.completed_at IS NOT NULL THEN 'completed_at' END,
                CASE WHEN NEW.cancel_requested_at IS NOT NULL THEN 'cancel_requested_at' END,
                CASE WHEN NEW.created_at NOT BETWEEN earliest AND latest THEN 'created_at' END,
                CASE WHEN NEW.updated_at NOT BETWEEN earliest AND latest THEN 'updated_at' END,
                CASE WHEN NEW.progress IS NOT NULL THEN 'progress' END,
                CASE WHEN NEW.progress_note IS NOT NULL THEN 'progress_note' END,
                CASE WHEN NEW.gate IS NOT NULL THEN 'gate' END,
                CASE WHEN NEW.gate_entered_at IS NOT NULL THEN 'gate_entered_at' END,
                CASE WHEN NEW.handler_state IS NOT NULL THEN 'handler_state' END,
                CASE WHEN NEW.error_message IS NOT NULL THEN 'error_message' END,
                CASE WHEN NEW.result IS NOT NULL THEN 'result' END,
                CASE WHEN NEW.attempt_errors <> '[]' THEN 'attempt_errors' END,
                CASE WHEN NEW.revision_count <> 0 THEN 'revision_count' END,
                CASE WHEN NEW.revision_note IS NOT NULL THEN 'revision_note' END,
                CASE WHEN NEW.ready_at IS NOT NULL THEN 'ready_at' END
            ],
            NULL
        );
        RAISE EXCEPTION 'a producer may not set % of a new task', array_to_string(forged, ', ')
            USING ERRCODE = 'insufficient_privilege',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = coalesce(forged[1], ''),
                  HINT = 'Omit these columns to get their defaults. A producer may set task_id, account_id, priority, topic, '
                         'keywords, category, requirements, tone, auto_approve, max_retries, submitted_at, scheduled_at, '
                         'timeout_at, batch and traceparent; submitted_at, created_at and updated_at must be within 5 minutes '
                         'of now. A role that may UPDATE status may insert any values.';
    END IF;

    sequence := pg_get_serial_sequence('public.content_generation_tasks', 'id');
    IF sequence IS NULL THEN
        SELECT s.oid
        INTO sequence
        FROM pg_attribute AS a
        JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        JOIN pg_depend AS u
            ON u.classid = 'pg_attrdef'::regclass
            AND u.objid = d.oid
            AND u.refclassid = 'pg_class'::regclass
        JOIN pg_class AS s ON s.oid = u.refobjid AND s.relkind = 'S'
        WHERE a.attrelid = 'public.content_generation_tasks'::regclass
          AND a.attname = 'id';
    END IF;
    BEGIN
        IF sequence IS NULL OR NEW.id = currval(sequence) THEN
            RETURN NEW;
        END IF;
    EXCEPTION
        WHEN object_not_in_prerequisite_state THEN
            NULL;  -- the session has not used the sequence
    END;
    RAISE EXCEPTION 'a producer may not set id of a new task'
        USING ERRCODE = 'insufficient_privilege',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'id',
              HINT = 'Omit id: it comes from a sequence, and INSERT ... RETURNING id returns it. To choose an identifier, set '
                     'task_id. A role that may UPDATE status may insert any id.';
END;
$$;

-- Name: FUNCTION refuse_forged_task(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_forged_task() IS 'Trigger: raises insufficient_privilege for a new task with a status, an outcome, a time or an id that a producer may not set.';

-- Name: refuse_large_text(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.refuse_large_text() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    most_bytes constant integer := (SELECT s.max_text_bytes FROM contentq.settings AS s);
    written record;
    kept text;
BEGIN
    FOR written IN
        SELECT c.col, c.value
        FROM (VALUES
            ('task_id', NEW.task_id::text),
            ('topic', NEW.topic::text),
            ('keywords', NEW.keywords::text),
            ('category', NEW.category::text),
            ('requirements', NEW.requirements::text),
            ('tone', NEW.tone::text),
            ('error_message', NEW.error_message::text),
            ('progress_note', NEW.progress_note::text)
        ) AS c (col, value)
        WHERE octet_length(c.value) > most_bytes
    LOOP
        IF TG_OP = 'UPDATE' THEN
            kept := CASE written.col
                WHEN 'task_id' THEN OLD.task_id
                WHEN 'topic' THEN OLD.topic
                WHEN 'keywords' THEN OLD.keywords
                WHEN 'category' THEN OLD.category
                WHEN 'requirements' THEN OLD.requirements
                WHEN 'tone' THEN OLD.tone
                WHEN 'error_message' THEN OLD.error_message
                WHEN 'progress_note' THEN OLD.progress_note
            END;
            CONTINUE WHEN written.value = kept;
        END IF;
        RAISE EXCEPTION '% is too large: % bytes, and the maximum is % (contentq.settings.max_text_bytes)',
            written.col, octet_length(written.value), most_bytes
            USING ERRCODE = 'string_data_right_truncation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = written.col,
                  HINT = 'Store large material elsewhere and refer to it, or raise the limit: '
                         'UPDATE contentq.settings SET max_text_bytes = ...';
    END LOOP;
    RETURN NEW;
END;
$$;

-- Name: FUNCTION refuse_large_text(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_large_text() IS 'Trigger: raises 22001 for a text of a task that is larger than settings.max_text_bytes.';

-- Name: refuse_many_workers(text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.refuse_many_workers(gates text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    most constant integer := (SELECT s.max_workers_per_login FROM contentq.settings AS s);
    most_gates constant integer := greatest(most, 1000);
    subject constant text := CASE
        WHEN (SELECT count(*) FROM contentq.workers AS w WHERE w.login = session_user) >= most
        THEN format('%s registered workers', most)
        WHEN cardinality(refuse_many_workers.gates) + (
            SELECT sum(cardinality(l.gates))
            FROM (
                SELECT DISTINCT w.gates
                FROM contentq.workers AS w
                WHERE w.login = session_user
                  AND w.gates <> refuse_many_workers.gates
            ) AS l
        ) > most_gates
        THEN format('workers with lists of %s gates', most_gates)
    END;
BEGIN
    IF subject IS NOT NULL THEN
        RAISE EXCEPTION 'login % already has %, which is the maximum', session_user, subject
            USING ERRCODE = 'configuration_limit_exceeded',
                  HINT = 'Stop some of them, or have an operator raise contentq.settings.max_workers_per_login.';
    END IF;
END;
$$;

-- Name: FUNCTION refuse_many_workers(gates text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_many_workers(gates text[]) IS 'Internal: raises 53400 if the login has registered as many workers as settings.max_workers_per_login allows.';

-- Name: refuse_stale_update(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.refuse_stale_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'task % (id %) was changed since this row was read: %',
        OLD.task_id,
        OLD.id,
        CASE
            WHEN NEW.attempt < OLD.attempt
            THEN format('it was claimed: attempt is %s, not %s', OLD.attempt, NEW.attempt)
            WHEN OLD.status = 'completed'
            THEN 'it was completed, and the update would delete its result'
            ELSE format('attempt %s has ended, and only claim() assigns a task to a worker', OLD.attempt)
        END
        USING ERRCODE = 'CQ002',
              TABLE = TG_TABLE_NAME,
              SCHEMA = TG_TABLE_SCHEMA,
              HINT = 'Write only the columns that you change. Django: save(update_fields=[...]); Hibernate: '
                     '@DynamicUpdate. To run a task again, call contentq.requeue() or set only status.';
END;
$$;

-- Name: FUNCTION refuse_stale_update(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_stale_update() IS 'Trigger: raises CQ002 for an UPDATE that writes back a row as it was before the queue changed it.';

-- Name: register_worker(text, integer, integer, text, text, text, text[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.register_worker(hostname text, pid integer, slots integer, handler text, gate text DEFAULT NULL::text, version text DEFAULT NULL::text, categories text[] DEFAULT NULL::text[], gates text[] DEFAULT NULL::text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    SELECT contentq.warn_of_row_security(), contentq.warn_of_row_security(session_user), contentq.refuse_many_workers(register_worker.gates);

    WITH added AS (
        INSERT INTO contentq.workers (hostname, pid, slots, handler, gate, version, categories, gates)
        VALUES (
            contentq.shorten(register_worker.hostname, 300),
            register_worker.pid,
            register_worker.slots,
            contentq.shorten(register_worker.handler, 300),
            register_worker.gate,
            contentq.shorten(register_worker.version, 300),
            register_worker.categories,
            register_worker.gates
        )
        RETURNING id
    ),
    claimer AS (
        INSERT INTO contentq.claimers (worker_id)
        SELECT a.id
        FROM added AS a
    )
    SELECT a.id FROM added AS a;
$$;

-- Name: FUNCTION register_worker(hostname text, pid integer, slots integer, handler text, gate text, version text, categories text[], gates text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.register_worker(hostname text, pid integer, slots integer, handler text, gate text, version text, categories text[], gates text[]) IS 'Registers a worker with its number of slots, its gate, and the categories that it claims (NULL: all); returns its id. The worker must call heartbeat() every 2 seconds. gates, in place of gate: each of its tasks enters one of them with enter_gate(). Raises 53400 if the login has too many workers.';

-- Name: reject(bigint, text, text, boolean, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.reject(content_id bigint, reviewer text DEFAULT SESSION_USER, note text DEFAULT NULL::text, revise boolean DEFAULT false, review_status text DEFAULT 'pending'::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    content public.contents;
    task public.content_generation_tasks;
    refusal text;
BEGIN
    content := contentq.mark_reviewed(
        reject.content_id, 'rejected', reject.reviewer, reject.note, reject.review_status
    );
    IF reject.revise IS NOT TRUE THEN
        RETURN content.review_status;
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = contentq.task_of_content(content.id, content.generation_task_id, content.account_id)
      AND t.account_id + 0 = content.account_id
    FOR NO KEY UPDATE;
    refusal := CASE
        WHEN NOT FOUND THEN 'its task no longer exists'
        WHEN task.status IN ('pending', 'processing')
            THEN format('its task %s is already %s again', task.task_id, task.status)
        WHEN task.content_id IS DISTINCT FROM content.id
            THEN format('it is an older version: the latest of task %s is %s', task.task_id,
                        coalesce('content ' || task.content_id, 'deleted'))
    END;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'content % cannot be sent back: %', content.id, refusal
            USING ERRCODE = 'CQ005',
                  HINT = 'To reject it without a revision, leave out revise.';
    END IF;
    PERFORM contentq.requeue_tasks(ARRAY[task.id]::bigint[], reject.note);
    RETURN 'pending';
END;
$$;

-- Name: FUNCTION reject(content_id bigint, reviewer text, note text, revise boolean, review_status text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.reject(content_id bigint, reviewer text, note text, revise boolean, review_status text) IS 'Rejects content that is pending (or has the given review_status); with revise, also makes its task pending again with the note, in the same transaction. Raises CQ005 if someone else has already decided, or if the task cannot be requeued.';

-- Name: reject_matching(bigint, text, text, timestamp with time zone, timestamp with time zone, text, text, boolean, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.reject_matching(account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, reviewer text DEFAULT SESSION_USER, note text DEFAULT NULL::text, revise boolean DEFAULT false, after_id bigint DEFAULT 0, max_contents integer DEFAULT 1000) RETURNS TABLE(contents bigint, last_id bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT m.contents, m.last_id
    FROM contentq.mark_matching(
        'rejected', reject_matching.account_id, reject_matching.category, reject_matching.batch, reject_matching.since,
        reject_matching.until, reject_matching.reviewer, reject_matching.note, reject_matching.revise, reject_matching.after_id,
        reject_matching.max_contents
    ) AS m;
$$;

-- Name: FUNCTION reject_matching(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, revise boolean, after_id bigint, max_contents integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.reject_matching(account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, reviewer text, note text, revise boolean, after_id bigint, max_contents integer) IS 'Rejects a chunk of the pending content that matches the selectors; with revise, for another version. Returns how many, and the after_id of the next call.';

-- Name: release(bigint, bigint[], integer[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.release(worker_id bigint, ids bigint[], attempts integer[]) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET enable_sort TO 'on'
    AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(release.worker_id) THEN
        RETURN;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(release.worker_id, release.ids, release.attempts);
    -- A batch answer that this attempt took must be available to the next attempt.
    UPDATE contentq.batch_requests AS r
    SET is_taken = false
    FROM public.content_generation_tasks AS t
    WHERE r.id = ANY (release.ids)
      AND r.answered_at IS NOT NULL
      AND r.is_taken
      AND t.id = ANY (ARRAY[r.id])
      AND contentq.is_held(t.status, t.worker_id, release.worker_id);

    RETURN QUERY
    WITH reported AS MATERIALIZED (
        SELECT r.id, r.attempt
        FROM unnest(release.ids, release.attempts) AS r (id, attempt)
        ORDER BY r.id
    )
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id])
      AND t.attempt = r.attempt
      AND contentq.is_held(t.status, t.worker_id, release.worker_id)
    RETURNING t.id::bigint;
END;
$$;

-- Name: FUNCTION release(worker_id bigint, ids bigint[], attempts integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.release(worker_id bigint, ids bigint[], attempts integer[]) IS 'Releases tasks that this worker holds: they are pending again, and no retry is charged. Returns their ids.';

-- Name: release_unknown(bigint, bigint[], integer[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.release_unknown(worker_id bigint, ids bigint[], attempts integer[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
    locked_ids bigint[];
    locked_attempts integer[];
    some_ended boolean;
    task record;
    charged integer := 0;
BEGIN
    SELECT array_agg(l.id), array_agg(l.attempt), bool_or(l.is_ended)
    INTO locked_ids, locked_attempts, some_ended
    FROM (
        SELECT t.id, t.attempt,
               t.cancel_requested_at IS NOT NULL OR coalesce(t.timeout_at <= clock_timestamp(), false) AS is_ended
        FROM unnest(release_unknown.ids, release_unknown.attempts) AS r (id, attempt)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, release_unknown.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    ) AS l;

    IF locked_ids IS NOT NULL THEN
        IF some_ended THEN
            PERFORM contentq.end_cancelled_or_overdue(release_unknown.worker_id, locked_ids, locked_attempts);
        END IF;
        FOR task IN
            SELECT t.id, t.attempt, t.retry_count, t.max_retries,
                   t.attempt_errors @? '$[*] ? (@.error_class == "ClaimUnheard")' AS is_charged
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (locked_ids)
              AND contentq.is_held(t.status, t.worker_id, release_unknown.worker_id)
        LOOP
            PERFORM contentq.record_failure(
                task.id,
                format('Worker %s claimed attempt %s but does not know of it: the reply to the claim was lost or too large, '
                       'or the outcome could not be reported; %s',
                    release_unknown.worker_id,
                    task.attempt,
                    CASE WHEN NOT task.is_charged THEN 'no retry is charged the first time'
                         WHEN task.retry_count < task.max_retries
                         THEN format('retry %s of %s follows', task.retry_count + 1, task.max_retries)
                         ELSE format('no retry is left (max_retries %s)', task.max_retries) END),
                'ClaimUnheard',
                false,
                CASE WHEN task.is_charged THEN contentq.backoff(task.retry_count) END,
                task.is_charged
            );
            charged := charged + task.is_charged::integer;
        END LOOP;
    END IF;
    RAISE WARNING 'worker %: released % of its tasks, which it does not know of (retries charged: %)',
        release_unknown.worker_id, coalesce(cardinality(locked_ids), 0), charged;
END;
$_$;

-- Name: FUNCTION release_unknown(worker_id bigint, ids bigint[], attempts integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.release_unknown(worker_id bigint, ids bigint[], attempts integer[]) IS 'Internal: releases attempts that a live worker does not know of; a retry is charged from the second time on.';

-- Name: report_progress(bigint, bigint[], integer[], real[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.report_progress(worker_id bigint, ids bigint[], attempts integer[], fractions real[], notes text[] DEFAULT NULL::text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(report_progress.worker_id) THEN
        RETURN;
    END IF;
    WITH reported AS MATERIALIZED (
        SELECT t.id, r.fraction, r.note
        FROM unnest(report_progress.ids, report_progress.attempts, report_progress.fractions, report_progress.notes)
            AS r (id, attempt, fraction, note)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, report_progress.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE public.content_generation_tasks AS t
    SET progress = CASE WHEN r.fraction < 'NaN' THEN least(greatest(r.fraction, 0), 1) ELSE t.progress END,
        progress_note = coalesce(contentq.shorten(r.note, 500), t.progress_note),
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = ANY (ARRAY[r.id]);
END;
$$;

-- Name: FUNCTION report_progress(worker_id bigint, ids bigint[], attempts integer[], fractions real[], notes text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.report_progress(worker_id bigint, ids bigint[], attempts integer[], fractions real[], notes text[]) IS 'Records the progress of tasks that this worker runs: fractions from 0 to 1 and notes, which running_tasks shows. It skips rows that other sessions have locked.';

-- Name: requeue(text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.requeue(task_id text, note text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
DECLARE
    id_ constant bigint := (SELECT t.id FROM public.content_generation_tasks AS t WHERE t.task_id = requeue.task_id);
BEGIN
    IF id_ = ANY (contentq.requeue_tasks(ARRAY[id_], requeue.note)) THEN
        RETURN 'pending';
    END IF;
    RETURN NULL;
END;
$$;

-- Name: FUNCTION requeue(task_id text, note text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.requeue(task_id text, note text) IS 'Requeues a task that is failed, timeout, or completed with rejected content: pending again, with all retries. note: what the handler finds as the previous error. Returns pending; NULL if the task is in none of these states.';

-- Name: requeue_matching(text, bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, text, bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.requeue_matching(status text DEFAULT NULL::text, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, batch text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, error text DEFAULT NULL::text, worker_id bigint DEFAULT NULL::bigint, note text DEFAULT NULL::text, after_id bigint DEFAULT NULL::bigint, max_tasks integer DEFAULT 1000) RETURNS TABLE(tasks bigint, last_id bigint, locked bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    chosen record;
    changed bigint := 0;
BEGIN
    SELECT c.*
    INTO chosen
    FROM contentq.choose_matching(
        'requeue', requeue_matching.status, requeue_matching.account_id, requeue_matching.category,
        requeue_matching.batch, requeue_matching.since, requeue_matching.until, requeue_matching.error,
        requeue_matching.worker_id, requeue_matching.after_id, requeue_matching.max_tasks) AS c;
    -- For the planner, an empty array implies the condition of any partial index: it might read a whole other index.
    IF cardinality(chosen.ids) > 0 THEN
        changed := cardinality(contentq.requeue_tasks(chosen.ids, requeue_matching.note));
    END IF;
    RETURN QUERY SELECT changed, chosen.last_id, chosen.locked;
END;
$$;

-- Name: FUNCTION requeue_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, note text, after_id bigint, max_tasks integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.requeue_matching(status text, account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, note text, after_id bigint, max_tasks integer) IS 'Requeues up to max_tasks tasks above after_id that match all selectors, as requeue() does. Returns how many, the after_id of the next call (NULL at the end), and how many were locked. The selectors are those of matching_tasks().';

-- Name: requeue_tasks(bigint[], text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.requeue_tasks(ids bigint[], note text) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
DECLARE
    error constant text := contentq.shorten(requeue_tasks.note, 8000);
    requeued bigint[];
BEGIN
    WITH changed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'pending',
            retry_count = 0,
            revision_count = 0,
            scheduled_at = NULL,
            ready_at = clock_timestamp(),
            completed_at = NULL,
            timeout_at = CASE WHEN t.timeout_at > clock_timestamp() THEN t.timeout_at END,
            cancel_requested_at = NULL,
            error_message = coalesce(error, t.error_message),
            revision_note = coalesce(error, t.revision_note),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (requeue_tasks.ids)
          AND (t.status IN ('failed', 'timeout')
               OR t.status = 'completed'
                  AND (SELECT c.review_status
                       FROM public.contents AS c
                       WHERE c.id = t.content_id
                         AND c.account_id + 0 = t.account_id) = 'rejected')
        RETURNING t.id
    )
    SELECT coalesce(array_agg(c.id), '{}')
    INTO requeued
    FROM changed AS c;
    RETURN requeued;
END;
$$;

-- Name: FUNCTION requeue_tasks(ids bigint[], note text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.requeue_tasks(ids bigint[], note text) IS 'Internal: makes failed tasks, timed-out tasks and tasks with rejected content pending again; returns their ids.';

-- Name: rescue_dead_workers(interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '00:00:10'::interval) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT contentq.rescue_silent(clock_timestamp() - rescue_dead_workers.silence);
$$;

-- Name: FUNCTION rescue_dead_workers(silence interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.rescue_dead_workers(silence interval) IS 'Rescues the tasks of workers that sent no heartbeat for this long, and removes those workers. The tasks are pending again with one retry charged, or failed if none is left; no retry is charged if the worker was draining. At most 1000 tasks per call; returns how many.';

-- Name: rescue_silent(timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.rescue_silent(unheard_since timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    dead bigint[];
    lost bigint[];
    lost_id bigint;
    task record;
    holder contentq.workers;
    who text;
    taken_ids bigint[];
    taken_attempts integer[];
    rescued integer := 0;
    idle integer := 0;
    gone bigint;
BEGIN
    dead := ARRAY(
        SELECT w.id
        FROM contentq.workers AS w
        WHERE w.heartbeat_at < rescue_silent.unheard_since
        ORDER BY w.id
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    );

    lost := dead || ARRAY(SELECT contentq.unregistered_holders());

    FOREACH lost_id IN ARRAY lost LOOP
        SELECT w.* INTO holder FROM contentq.workers AS w WHERE w.id = lost_id;
        who := format('worker %s, %s', lost_id,
                      CASE WHEN holder.id IS NULL THEN 'no longer registered'
                           ELSE format('%s pid %s, silent since %s', holder.hostname, holder.pid,
                                       date_trunc('second', holder.heartbeat_at)) END);
        taken_ids := '{}';
        taken_attempts := '{}';
        FOR task IN
            -- A range and an order that only that index has; = would allow any index. Not by id as well: that would read
            -- and sort all tasks of the worker.
            SELECT t.id, t.attempt, t.retry_count, t.max_retries, t.cancel_requested_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'processing'
              AND t.worker_id BETWEEN lost_id AND lost_id
            ORDER BY t.worker_id
            LIMIT 1000 - rescued
            FOR NO KEY UPDATE OF t SKIP LOCKED
        LOOP
            IF task.cancel_requested_at IS NOT NULL OR holder.draining THEN
                UPDATE public.content_generation_tasks AS t
                SET status = CASE WHEN t.cancel_requested_at IS NULL THEN 'pending' ELSE 'failed' END,
                    error_message = CASE WHEN t.cancel_requested_at IS NULL THEN t.error_message
                                         ELSE 'Task cancelled' END,
                    worker_id = NULL,
                    updated_at = CURRENT_TIMESTAMP
                WHERE t.id = task.id;
            ELSE
                PERFORM contentq.record_failure(
                    task.id,
                    format('The worker that ran attempt %s died (%s); %s',
                        task.attempt,
                        who,
                        CASE WHEN task.retry_count < task.max_retries
                             THEN format('retry %s of %s follows', task.retry_count + 1, task.max_retries)
                             ELSE format('no retry is left (max_retries %s)', task.max_retries) END),
                    'WorkerDied',
                    false,
                    interval '0'
                );
            END IF;
            taken_ids := taken_ids || task.id::bigint;
            taken_attempts := taken_attempts || task.attempt;
        END LOOP;
        rescued := rescued + cardinality(taken_ids);
        -- A batch answer that a dead attempt took must be available to the next attempt, or its cost is still to be
        -- counted.
        UPDATE contentq.batch_requests AS r
        SET is_taken = false
        WHERE r.id = ANY (taken_ids)
          AND r.answered_at IS NOT NULL
          AND r.is_taken;
        IF holder.id IS NOT NULL OR cardinality(taken_ids) > 0 THEN
            INSERT INTO contentq.dead_workers
                (worker_id, hostname, pid, handler, version, started_at, heartbeat_at, draining, ids, attempts)
            VALUES
                (lost_id, holder.hostname, holder.pid, holder.handler, holder.version, holder.started_at,
                 holder.heartbeat_at, coalesce(holder.draining, false), taken_ids, taken_attempts);
            IF cardinality(taken_ids) > 0 OR idle = 0 THEN
                RAISE WARNING 'tasks rescued from a dead worker: % (%)%',
                    cardinality(taken_ids),
                    who,
                    CASE WHEN holder.draining THEN '; no retry is charged, because it was draining' ELSE '' END;
            END IF;
            idle := idle + (taken_ids = '{}')::integer;
        END IF;
    END LOOP;
    IF idle > 1 THEN
        RAISE WARNING 'other dead workers without tasks removed: %', idle - 1;
    END IF;

    -- Also if some of its tasks were locked: if the worker comes back, it must learn that it lost tasks.
    FOREACH gone IN ARRAY dead LOOP
        PERFORM contentq.forget_worker(gone);
    END LOOP;

    RETURN rescued;
END;
$$;

-- Name: FUNCTION rescue_silent(unheard_since timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.rescue_silent(unheard_since timestamp with time zone) IS 'Internal: rescues tasks of workers without a heartbeat since then; returns how many.';

-- Name: revise(bigint, bigint, integer, text, text, text, integer, text, integer, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.revise(worker_id bigint, id bigint, attempt integer, message text, title text DEFAULT NULL::text, body text DEFAULT NULL::text, word_count integer DEFAULT NULL::integer, extra text DEFAULT NULL::text, max_revisions integer DEFAULT 2, keep_for_review boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(btrim(revise.message, E' \n\r\t'), ''), 'no message given');
    kept_message constant text := contentq.shorten(full_message, 8000);
    -- The maximum number of characters of a title; NULL in a host's table without a limit.
    title_length constant integer := (
        SELECT nullif(a.atttypmod, -1) - 4
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.contents'::regclass
          AND a.attname = 'title'
    );
    task public.content_generation_tasks;
    is_last boolean;
    is_kept boolean;
    draft_id bigint;
    new_status text;
BEGIN
    IF NOT contentq.is_own_worker(revise.worker_id) THEN
        RETURN NULL;
    END IF;
    IF revise.extra IS NOT NULL THEN
        PERFORM contentq.refuse_extras(ARRAY[revise.extra]);
        PERFORM contentq.record_usage(
            revise.worker_id, ARRAY[revise.id], ARRAY[revise.attempt], ARRAY[revise.extra]
        );
    END IF;
    IF EXISTS (SELECT contentq.end_cancelled_or_overdue(revise.worker_id, ARRAY[revise.id], ARRAY[revise.attempt])) THEN
        RETURN (SELECT t.status FROM public.content_generation_tasks AS t WHERE t.id = revise.id);
    END IF;

    SELECT t.*
    INTO task
    FROM public.content_generation_tasks AS t
    WHERE t.id = revise.id
      AND t.attempt = revise.attempt
      AND contentq.is_held(t.status, t.worker_id, revise.worker_id)
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM contentq.note_answers(revise.worker_id, 1, task.started_at, 0, ARRAY[task.id]::bigint[]);
    is_last := task.revision_count >= coalesce(revise.max_revisions, 2);
    is_kept := is_last AND coalesce(revise.keep_for_review, false) AND revise.body IS NOT NULL;

    IF revise.body IS NOT NULL THEN
        INSERT INTO public.contents (
            account_id, title, body, word_count, review_status, generation_task_id, review_note
        )
        VALUES (
            task.account_id, coalesce(left(revise.title, title_length), revise.title), revise.body,
            coalesce(revise.word_count, 0), CASE WHEN is_kept THEN 'pending' ELSE 'rejected' END, task.id, kept_message
        )
        RETURNING contents.id INTO draft_id;
        IF draft_id IS NULL THEN
            RAISE EXCEPTION 'a trigger or rule on table contents suppressed an insert of content'
                USING ERRCODE = 'triggered_action_exception';
        END IF;
    END IF;

    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN is_kept THEN 'completed' WHEN is_last THEN 'failed' ELSE 'pending' END,
        revision_count = CASE WHEN is_last THEN t.revision_count ELSE t.revision_count + 1 END,
        scheduled_at = NULL,
        completed_at = CASE WHEN is_kept THEN clock_timestamp() ELSE t.completed_at END,
        result = CASE WHEN is_kept THEN (
            format('{"success": true, "content_id": %s, "word_count": %s, "failed_checks": %s',
                   draft_id, coalesce(revise.word_count, 0), to_json(string_to_array(kept_message, E'\n')))
            || coalesce(', ' || nullif(btrim(substr(btrim(revise.extra, E' \n\r\t'), 2), E' \n\r\t'), '}'), '}')
        )::json ELSE t.result END,
        content_id = coalesce(draft_id, t.content_id),
        error_message = CASE WHEN NOT is_kept THEN kept_message END,
        revision_note = CASE WHEN NOT is_kept THEN kept_message END,
        attempt_errors = contentq.add_error(
            t.attempt_errors, t.attempt, t.worker_id, 'CheckFailed', full_message
        ),
        handler_state = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = task.id
    RETURNING t.status INTO new_status;
    PERFORM contentq.count_failure('CheckFailed');

    IF is_kept THEN
        PERFORM contentq.notify_reviewers();
    END IF;
    IF (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = revise.worker_id) > 0 THEN
        PERFORM contentq.clear_failures(ARRAY[revise.worker_id]);
    END IF;
    RETURN new_status;
END;
$$;

-- Name: FUNCTION revise(worker_id bigint, id bigint, attempt integer, message text, title text, body text, word_count integer, extra text, max_revisions integer, keep_for_review boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.revise(worker_id bigint, id bigint, attempt integer, message text, title text, body text, word_count integer, extra text, max_revisions integer, keep_for_review boolean) IS 'Reports that checks of a draft failed: stores it as rejected content and returns the task to pending for a revision without charging a retry. After max_revisions the task fails, or completes with pending content (keep_for_review). Returns the new status; NULL if this worker no longer holds this attempt.';

-- Name: revoked_attempts(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.revoked_attempts(worker_id bigint) RETURNS TABLE(id bigint, attempt integer, is_lost boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    -- A range and an order that only the index on revoked tasks has; = would allow any index.
    SELECT t.id::bigint, t.attempt, t.status <> 'processing'
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN revoked_attempts.worker_id AND revoked_attempts.worker_id
      AND (t.status <> 'processing' OR t.cancel_requested_at IS NOT NULL)
    ORDER BY t.worker_id
    LIMIT 10000;
$$;

-- Name: FUNCTION revoked_attempts(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.revoked_attempts(worker_id bigint) IS 'Internal: the attempts that a worker must stop, at most 10,000.';

-- Name: rough_duration(double precision); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.rough_duration(seconds double precision) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT format('%s %s%s', d.number, d.unit, CASE WHEN d.number = 1 THEN '' ELSE 's' END)
    FROM (
        SELECT round(rough_duration.seconds / u.seconds) AS number, u.unit
        FROM (VALUES (1, 'second', 90), (60, 'minute', 5400), (3600, 'hour', 172800), (86400, 'day', NULL))
            AS u (seconds, unit, until)
        WHERE rough_duration.seconds < u.until
           OR u.until IS NULL
        ORDER BY u.seconds
        LIMIT 1
    ) AS d;
$$;

-- Name: FUNCTION rough_duration(seconds double precision); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.rough_duration(seconds double precision) IS 'Internal: a number of seconds as text, in seconds, minutes, hours or days.';

-- Name: seen_accounts(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.seen_accounts() RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    caller pg_roles;
    sees_all boolean;
BEGIN
    SELECT r.*
    INTO STRICT caller
    FROM pg_roles AS r
    WHERE r.rolname = coalesce(nullif(current_setting('role'), 'none'), session_user);
    SELECT NOT c.relrowsecurity
           OR caller.rolsuper
           OR caller.rolbypassrls
           OR NOT c.relforcerowsecurity AND pg_has_role(caller.oid, c.relowner, 'USAGE')
           OR EXISTS (SELECT
                      FROM pg_policy AS p
                      WHERE p.polrelid = c.oid
                        AND EXISTS (SELECT
                                    FROM unnest(p.polroles) AS m (oid)
                                    WHERE m.oid = 0 OR pg_has_role(caller.oid, m.oid, 'USAGE'))
                      HAVING bool_or(p.polcmd = '*' AND pg_get_expr(p.polqual, p.polrelid) = 'true')
                         AND bool_and(p.polpermissive))
    INTO STRICT sees_all
    FROM pg_class AS c
    WHERE c.oid = 'public.contents'::regclass;
    IF sees_all THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY(
        SELECT a.account_id
        FROM contentq.account_roles AS a
        JOIN pg_roles AS r ON r.rolname = a.role_name
        WHERE pg_has_role(caller.oid, r.oid, 'USAGE')
    );
END;
$$;

-- Name: FUNCTION seen_accounts(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.seen_accounts() IS 'Internal: the accounts that the caller may see while row level security is on; NULL for all.';

-- Name: select_tasks(text[], bigint, text, text, timestamp with time zone, timestamp with time zone, text, bigint, boolean, boolean, bigint, bigint, text, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.select_tasks(statuses text[], account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, only_rejected boolean DEFAULT false, newest_first boolean DEFAULT false, beyond_id bigint DEFAULT NULL::bigint, max_tasks bigint DEFAULT NULL::bigint, topic text DEFAULT NULL::text, until_id bigint DEFAULT NULL::bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
BEGIN
    RETURN QUERY EXECUTE format(
        $query$
        SELECT t.id::bigint
        FROM public.content_generation_tasks AS t
        WHERE ($1 IS NULL OR t.status = ANY ($1))
          AND ($2 IS NULL OR t.account_id = $2)
          AND ($3 IS NULL OR t.category = $3)
          AND ($4 IS NULL OR t.batch = $4)
          AND ($5 IS NULL OR t.submitted_at >= $5)
          AND ($6 IS NULL OR t.submitted_at < $6)
          AND ($7 IS NULL
               OR strpos(lower(t.error_message), lower($7)) > 0
               OR contentq.error_group(t.error_message) = $7)
          AND ($8 IS NULL
               OR t.status = 'processing' AND t.worker_id = $8
               OR t.status IN ('failed', 'timeout') AND t.attempt_errors -> -1 -> 'worker_id' = to_jsonb($8))
          AND (NOT $9
               OR t.status <> 'completed'
               OR EXISTS (SELECT
                          FROM public.contents AS c
                          WHERE c.id = t.content_id
                            AND c.account_id + 0 = t.account_id
                            AND c.review_status = 'rejected'))
          AND ($10 IS NULL OR t.id %1$s $10)
          AND ($12 IS NULL OR starts_with(lower(t.topic), lower($12)))
          AND ($13 IS NULL OR t.id %2$s $13)
        ORDER BY t.id %3$s
        LIMIT $11
        $query$,
        CASE WHEN select_tasks.newest_first THEN '<' ELSE '>' END,
        CASE WHEN select_tasks.newest_first THEN '>=' ELSE '<=' END,
        CASE WHEN select_tasks.newest_first THEN 'DESC' ELSE 'ASC' END
    )
    USING select_tasks.statuses, select_tasks.account_id, select_tasks.category, select_tasks.batch, select_tasks.since,
        select_tasks.until, select_tasks.error, select_tasks.worker_id, select_tasks.only_rejected, select_tasks.beyond_id,
        select_tasks.max_tasks, select_tasks.topic, select_tasks.until_id;
END;
$_$;

-- Name: FUNCTION select_tasks(statuses text[], account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, only_rejected boolean, newest_first boolean, beyond_id bigint, max_tasks bigint, topic text, until_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.select_tasks(statuses text[], account_id bigint, category text, batch text, since timestamp with time zone, until timestamp with time zone, error text, worker_id bigint, only_rejected boolean, newest_first boolean, beyond_id bigint, max_tasks bigint, topic text, until_id bigint) IS 'Internal: the ids of the tasks that match selectors, in order.';

-- Name: selected_statuses(text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.selected_statuses(operation text, status text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    possible constant text[] := CASE selected_statuses.operation
        -- Rejected content is revised when a reviewer requests it, not together with failed tasks.
        WHEN 'requeue' THEN '{failed,timeout,completed}'::text[]
        WHEN 'cancel' THEN '{pending,processing}'
        WHEN 'delete' THEN '{pending,completed,failed,timeout}'
        ELSE '{pending,processing,completed,failed,timeout}'
    END;
BEGIN
    IF selected_statuses.status <> ALL (possible) THEN
        RAISE EXCEPTION 'cannot % tasks with status %; possible: %',
            coalesce(selected_statuses.operation, 'select'), quote_literal(selected_statuses.status),
            array_to_string(possible, ', ')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN CASE
        WHEN selected_statuses.status IS NOT NULL THEN ARRAY[selected_statuses.status]
        WHEN selected_statuses.operation = 'requeue' THEN '{failed,timeout}'::text[]
        WHEN selected_statuses.operation IS NOT NULL THEN possible
    END;
END;
$$;

-- Name: FUNCTION selected_statuses(operation text, status text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.selected_statuses(operation text, status text) IS 'Internal: the statuses to which requeue, cancel or delete with selectors applies; NULL for any.';

-- Name: session_text(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.session_text(pid integer) RETURNS text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT concat(
        'session ', session_text.pid,
        (SELECT ' (' || nullif(concat_ws(
                    ', ',
                    nullif(regexp_replace(s.application_name, '[^[:print:]]', '?', 'g'), ''),
                    'user ' || s.usename,
                    s.state || to_char(s.state_change AT TIME ZONE 'UTC', '" since "YYYY-MM-DD HH24:MI:SS" UTC"')
                ), '') || ')'
         FROM pg_stat_activity AS s
         WHERE s.pid = session_text.pid)
    );
$$;

-- Name: FUNCTION session_text(pid integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.session_text(pid integer) IS 'Internal: a session for messages: its process id, program, user and state.';

-- Name: set_budget(numeric, bigint, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.set_budget(amount numeric, account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, period text DEFAULT 'month'::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
BEGIN
    IF set_budget.amount IS NULL THEN
        PERFORM contentq.unset_budget(set_budget.account_id, set_budget.category, set_budget.period);
        RETURN;
    END IF;
    IF set_budget.account_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM public.accounts AS a WHERE a.id = set_budget.account_id)
    THEN
        RAISE EXCEPTION 'there is no account %', set_budget.account_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF set_budget.account_id IS NOT NULL AND set_budget.category IS NULL AND set_budget.period = 'month' THEN
        UPDATE public.accounts AS a
        SET monthly_budget = set_budget.amount
        WHERE a.id = set_budget.account_id;
    ELSE
        INSERT INTO contentq.budgets AS b (account_id, category, period, amount)
        VALUES (set_budget.account_id, set_budget.category, set_budget.period, set_budget.amount)
        ON CONFLICT ON CONSTRAINT budgets_account_id_category_period_key DO UPDATE
        SET amount = excluded.amount;
    END IF;
    -- Waiting tasks may now be allowed to start.
    PERFORM contentq.notify_ready();
END;
$$;

-- Name: FUNCTION set_budget(amount numeric, account_id bigint, category text, period text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.set_budget(amount numeric, account_id bigint, category text, period text) IS 'Sets what attempts may cost in a day or a month (UTC): for an account, a category, both, or all together (NULL).';

-- Name: set_gate(text, numeric, numeric, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.set_gate(key text, requests_per_minute numeric DEFAULT NULL::numeric, tokens_per_minute numeric DEFAULT NULL::numeric, max_running integer DEFAULT NULL::integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
BEGIN
    IF coalesce(set_gate.key, '') = '' THEN
        RAISE EXCEPTION 'setting a gate requires its key'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'The key is the name that workers register with, such as the host of a provider.';
    END IF;
    INSERT INTO contentq.gates AS g (key, requests_per_minute, tokens_per_minute, max_running)
    VALUES (set_gate.key, set_gate.requests_per_minute, set_gate.tokens_per_minute, set_gate.max_running)
    ON CONFLICT ON CONSTRAINT gates_pkey DO UPDATE
    SET requests_per_minute = excluded.requests_per_minute,
        tokens_per_minute = excluded.tokens_per_minute,
        max_running = excluded.max_running,
        tokens_left = NULL;
    -- Waiting workers may now be allowed to start tasks.
    PERFORM contentq.notify_ready();
END;
$$;

-- Name: FUNCTION set_gate(key text, requests_per_minute numeric, tokens_per_minute numeric, max_running integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.set_gate(key text, requests_per_minute numeric, tokens_per_minute numeric, max_running integer) IS 'Sets how many tasks of a gate''s workers may start per minute, how many tokens they may use per minute, and how many may run at once; NULL: no limit of that kind. What was learned about the provider stays.';

-- Name: set_row_security(boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.set_row_security(enabled boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
DECLARE
    see_all constant name[] := ARRAY(
        SELECT r.rolname
        FROM pg_roles AS r
        WHERE r.rolname IN ('contentq_operator', 'contentq_worker', 'contentq_definer')
        ORDER BY r.rolname
    );
    own_rows text;
    disable text;
    each record;
    changed integer := 0;
BEGIN
    IF enabled AND NOT see_all @> '{contentq_operator,contentq_worker}' THEN
        RAISE EXCEPTION 'cannot enable row level security: role contentq_worker or contentq_operator is missing'
            USING ERRCODE = 'undefined_object',
                  HINT = 'Run contentq roles apply first.';
    END IF;

    FOR each IN
        SELECT c.oid::regclass AS rel, c.relrowsecurity AS is_on, t.col, s.table_name,
               -- The current policies and their roles, so that tables already as requested are left alone.
               ARRAY(
                   SELECT concat_ws('|', p.polname, (SELECT string_agg(r.rolname, ',' ORDER BY r.rolname)
                                                     FROM pg_roles AS r
                                                     WHERE r.oid = ANY (p.polroles)))
                   FROM pg_policy AS p
                   WHERE p.polrelid = c.oid
                     AND p.polname IN ('contentq_all_accounts', 'contentq_own_accounts')
                   ORDER BY p.polname
               ) AS policies
        FROM (VALUES
            (1, 'public.content_generation_tasks'::regclass, 'account_id'),
            (2, 'public.contents'::regclass, 'account_id'),
            (3, 'public.accounts'::regclass, 'id'),
            (4, 'contentq.usage'::regclass, 'account_id'),
            -- Budgets of all accounts are hidden from roles that see only some accounts.
            (8, 'contentq.budgets'::regclass, 'account_id'),
            (9, 'contentq.budget_events'::regclass, 'account_id'),
            -- Contains tasks of all accounts.
            (5, 'contentq.dead_workers'::regclass, NULL),
            -- Contains accounts that are over budget.
            (6, 'contentq.claimers'::regclass, NULL),
            -- Contains tasks and batches of all accounts.
            (6, 'contentq.awaited'::regclass, NULL),
            (7, 'contentq.account_roles'::regclass, 'role_name'),
            (8, 'contentq.batch_requests'::regclass, 'account_id'),
            -- Contains tasks of all accounts, and what providers answered about them.
            (9, 'contentq.provider_batches'::regclass, NULL)
        ) AS t (place, rel, col)
        JOIN pg_class AS c ON c.oid = t.rel
        LEFT JOIN contentq.tables AS s
            ON s.table_name = c.relname
            AND s.schema_name::regnamespace = c.relnamespace
        ORDER BY t.place
    LOOP
        disable := format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', each.rel);
        CONTINUE WHEN enabled AND each.is_on AND each.policies = ARRAY(
            SELECT 'contentq_all_accounts|' || array_to_string(see_all, ',')
            UNION ALL
            SELECT 'contentq_own_accounts' WHERE each.col IS NOT NULL
        );
        CONTINUE WHEN NOT enabled AND each.policies = '{}';
        changed := changed + 1;

        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', each.rel);
        EXECUTE format('DROP POLICY IF EXISTS contentq_all_accounts ON %s', each.rel);
        EXECUTE format('DROP POLICY IF EXISTS contentq_own_accounts ON %s', each.rel);
        IF NOT enabled THEN
            IF each.table_name IS NULL
                OR EXISTS (SELECT FROM contentq.tables AS s WHERE s.table_name = each.table_name AND disable = ANY (s.added))
            THEN
                EXECUTE disable;
            END IF;
            UPDATE contentq.tables AS s
            SET added = ARRAY(
                SELECT a.statement
                FROM unnest(s.added) WITH ORDINALITY AS a (statement, place)
                WHERE a.statement <> disable
                  AND a.statement NOT LIKE 'DROP POLICY IF EXISTS contentq\_%'
                ORDER BY a.place
            )
            WHERE s.table_name = each.table_name;
            CONTINUE;
        END IF;

        EXECUTE format('CREATE POLICY contentq_all_accounts ON %s TO %s USING (true) WITH CHECK (true)', each.rel,
                       (SELECT string_agg(quote_ident(r.name), ', ') FROM unnest(see_all) AS r (name)));
        -- The subqueries are evaluated once per statement, so that an index on the account can be used.
        own_rows := CASE each.col
            WHEN 'role_name' THEN 'EXISTS (SELECT FROM pg_catalog.pg_roles AS r '
                                  'WHERE r.rolname = role_name AND pg_catalog.pg_has_role(r.oid, ''USAGE''))'
            ELSE each.col || ' = ANY (ARRAY(SELECT r.account_id FROM contentq.account_roles AS r))'
        END;
        IF own_rows IS NOT NULL THEN
            EXECUTE format('CREATE POLICY contentq_own_accounts ON %s USING (%s)', each.rel, own_rows);
        END IF;
        -- The statements that undo it: an older table may already have had row level security.
        UPDATE contentq.tables AS s
        SET added = s.added
            || ARRAY(
                SELECT n.statement
                FROM unnest(ARRAY[
                    format('DROP POLICY IF EXISTS contentq_all_accounts ON %s', each.rel),
                    format('DROP POLICY IF EXISTS contentq_own_accounts ON %s', each.rel),
                    CASE WHEN NOT each.is_on THEN disable END
                ]) AS n (statement)
                WHERE n.statement <> ALL (s.added)
            )
        WHERE s.table_name = each.table_name;
        IF NOT each.is_on THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', each.rel);
        END IF;
    END LOOP;

    RETURN changed;
END;
$$;

-- Name: FUNCTION set_row_security(enabled boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.set_row_security(enabled boolean) IS 'Enables or disables row level security: everyone but owners, workers and operators sees and inserts only rows of the accounts that account_roles assigns to their roles. Returns how many tables were changed.';

-- Name: shorten(text, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.shorten(message text, max_characters integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN length(shorten.message) > shorten.max_characters
            THEN format('%s ... (truncated from %s characters)',
                        left(shorten.message, shorten.max_characters), length(shorten.message))
        ELSE shorten.message
    END;
$$;

-- Name: FUNCTION shorten(message text, max_characters integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.shorten(message text, max_characters integer) IS 'Internal: the message, truncated to max_characters with a note if it is longer.';

-- Name: snooze(bigint, bigint, integer, timestamp with time zone, text, text, boolean, jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone DEFAULT NULL::timestamp with time zone, message text DEFAULT NULL::text, refused_by text DEFAULT NULL::text, nothing_left boolean DEFAULT false, state jsonb DEFAULT NULL::jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    began_at timestamptz;
BEGIN
    IF NOT contentq.is_own_worker(snooze.worker_id) THEN
        RETURN false;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(snooze.worker_id, ARRAY[snooze.id], ARRAY[snooze.attempt]);

    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        scheduled_at = CASE
            WHEN snooze.resume_at <= now_
            THEN NULL
            WHEN snooze.resume_at = 'infinity' OR snooze.refused_by IS NULL AND snooze.resume_at IS NOT NULL
            THEN snooze.resume_at
            WHEN snooze.resume_at IS NOT NULL
            THEN snooze.resume_at + 0.2 * random() * (snooze.resume_at - now_)
            ELSE now_ + (1 + 0.2 * random())
                        * least(interval '1 minute',
                                interval '1 second' * power(2, least(t.attempt - t.retry_count - t.revision_count - 1, 10)))
        END,
        error_message = coalesce(contentq.shorten(snooze.message, 8000), t.error_message),
        handler_state = CASE WHEN snooze.state IS NULL THEN t.handler_state ELSE nullif(snooze.state, '{}') END,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = snooze.id
      AND t.attempt = snooze.attempt
      AND contentq.is_held(t.status, t.worker_id, snooze.worker_id)
    RETURNING CASE WHEN t.gate = snooze.refused_by THEN t.gate_entered_at ELSE t.started_at END INTO began_at;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF snooze.refused_by <> '*' AND EXISTS (
        SELECT
        FROM contentq.workers AS w
        WHERE (w.gate = snooze.refused_by OR snooze.refused_by = ANY (w.gates))
          AND w.login = session_user
    ) THEN
        PERFORM contentq.note_gate_event(
            snooze.refused_by, began_at, CASE WHEN snooze.nothing_left THEN 'exhausted' ELSE 'refused' END,
            snooze.resume_at, snooze.message
        );
    ELSIF snooze.refused_by IS NOT NULL THEN
        RAISE WARNING 'refusal by gate % not recorded: no worker of login % has this gate', snooze.refused_by, session_user;
    END IF;
    RETURN true;
END;
$$;

-- Name: FUNCTION snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone, message text, refused_by text, nothing_left boolean, state jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone, message text, refused_by text, nothing_left boolean, state jsonb) IS 'Returns a task to pending until resume_at without charging a retry; returns whether this worker still held it. refused_by: the gate whose provider refused the call. nothing_left: it accepts no calls until resume_at. Without resume_at, a refused task is tried again after a second, later each time. state: an object for the next attempt (handler_state); NULL keeps the current one.';

-- Name: spend_gate(text, integer, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.spend_gate(key text, taken integer, now_ timestamp with time zone DEFAULT clock_timestamp()) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    gate contentq.gates;
    state record;
    pace float8;
    running integer;
    cap integer;
    is_limit boolean;
    limited float8 := 0;
BEGIN
    SELECT g.* INTO gate FROM contentq.gates AS g WHERE g.key = spend_gate.key;
    IF NOT FOUND OR taken < 1 OR contentq.gate_is_free(gate, now_) THEN
        RETURN;
    END IF;
    pace := contentq.gate_pace(gate);
    IF pace IS NULL AND gate.tokens_per_minute IS NULL AND gate.cap IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM contentq.gates AS g WHERE g.key = spend_gate.key FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT s.* INTO state FROM contentq.gate_state(gate, now_) AS s;
    running := contentq.gate_running(gate.key);
    IF gate.cap IS NULL THEN
        gate.most_running := greatest(gate.most_running, running);
        is_limit := taken >= floor(state.level + 1e-6) AND pace < coalesce(gate.requests_per_minute::float8 / 60, 'infinity');
    ELSE
        cap := contentq.gate_cap(gate);
        is_limit := cap < coalesce(gate.max_running, 2147483647) AND running + taken >= cap;
    END IF;
    IF is_limit AND isfinite(gate.spent_at) THEN
        -- Excludes time in which nothing started, for example while the database was down.
        limited := least(
            extract(epoch FROM now_ - greatest(gate.spent_at, gate.opens_at)), greatest(1, 2 / coalesce(pace, gate.peak))
        );
    END IF;
    IF gate.cap IS NULL THEN
        gate.grown := gate.grown + limited;
    ELSE
        gate := contentq.try_cap(gate, limited, now_);
    END IF;
    IF gate.cut_share IS NOT NULL AND contentq.gate_pace(gate) > gate.peak THEN
        -- A trial also ends when nothing is refused any more and enough is known.
        IF contentq.judge_trial(gate, (SELECT t.calls FROM contentq.gate_totals(gate.key) AS t), now_) = 'real' THEN
            gate := contentq.end_trial(gate, now_);
        ELSE
            gate.grown := 0.08 / 0.09 * contentq.gate_cycle(gate.peak);
        END IF;
    END IF;
    UPDATE contentq.gates AS g
    SET level = greatest(0, coalesce(state.level, 1) - taken),
        grown = gate.grown,
        peak = gate.peak,
        cap = gate.cap,
        cap_is_known = gate.cap_is_known,
        cap_was_refused = gate.cap_was_refused,
        cap_tried_at = gate.cap_tried_at,
        cut_running = gate.cut_running,
        most_running = gate.most_running,
        cut_at = gate.cut_at,
        cut_calls = gate.cut_calls,
        cut_share = gate.cut_share,
        noise = gate.noise,
        noise_at = gate.noise_at,
        tokens_left = state.tokens_left,
        tokens_seen = coalesce(state.tokens_used, 0),
        spent_at = now_
    WHERE g.key = spend_gate.key;
END;
$$;

-- Name: FUNCTION spend_gate(key text, taken integer, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.spend_gate(key text, taken integer, now_ timestamp with time zone) IS 'Internal: takes the tasks of a claim from the bucket of a gate.';

-- Name: statuses_of(text[], text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.statuses_of(task_ids text[] DEFAULT NULL::text[], batch text DEFAULT NULL::text) RETURNS TABLE(status text, tasks bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT t.status, count(*)
    FROM (
        SELECT n.status
        FROM public.content_generation_tasks AS n
        WHERE n.task_id = ANY (statuses_of.task_ids)
        UNION ALL
        SELECT b.status
        FROM public.content_generation_tasks AS b
        WHERE b.batch = statuses_of.batch
    ) AS t
    GROUP BY t.status
    ORDER BY t.status;
$$;

-- Name: FUNCTION statuses_of(task_ids text[], batch text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.statuses_of(task_ids text[], batch text) IS 'How many of these tasks, or of the tasks of this batch, have each status.';

-- Name: store(bigint, bigint[], integer[], text[], text[], integer[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.store(worker_id bigint, ids bigint[], attempts integer[], titles text[], bodies text[], word_counts integer[], extras text[] DEFAULT NULL::text[]) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    held_ids bigint[];
    places bigint[];
    held_counts integer[];
    held_extras text[];
    content_ids bigint[];
    needs_review boolean;
    last_began_at timestamptz;
    tokens numeric;
    -- The maximum number of characters of a title; NULL in a host's table without a limit.
    title_length constant integer := (
        SELECT nullif(a.atttypmod, -1) - 4
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.contents'::regclass
          AND a.attname = 'title'
    );
BEGIN
    IF NOT contentq.is_own_worker(store.worker_id) THEN
        RETURN;
    END IF;
    IF store.extras IS NOT NULL THEN
        PERFORM contentq.refuse_extras(store.extras);
    END IF;

    -- A task listed twice gets one content.
    SELECT array_agg(h.id), array_agg(h.place), array_agg(h.word_count), array_agg(h.extra), max(h.started_at)
    INTO held_ids, places, held_counts, held_extras, last_began_at
    FROM (
        SELECT DISTINCT ON (l.id) l.*
        FROM (
            SELECT t.id, t.started_at, r.place, r.word_count, r.extra
            FROM unnest(store.ids, store.attempts, store.word_counts, store.extras)
                WITH ORDINALITY AS r (id, attempt, word_count, extra, place)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
            WHERE contentq.is_held(t.status, t.worker_id, store.worker_id)
              AND t.cancel_requested_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
            ORDER BY r.id
            FOR NO KEY UPDATE OF t
        ) AS l
        ORDER BY l.id, l.place
    ) AS h;

    -- The rows are locked, so the conditions above still hold. The deadline is checked only once, above.
    WITH stored AS (
        INSERT INTO public.contents (account_id, title, body, word_count, review_status, generation_task_id)
        SELECT t.account_id, coalesce(left(r.title, title_length), r.title), r.body, r.word_count,
               CASE WHEN t.auto_approve THEN 'approved' ELSE 'pending' END, t.id
        FROM unnest(store.ids, store.titles, store.bodies, store.word_counts)
            WITH ORDINALITY AS r (id, title, body, word_count, place)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.place = ANY (places)
        ORDER BY r.id
        RETURNING contents.id, contents.review_status
    )
    SELECT array_agg(s.id), bool_or(s.review_status = 'pending')
    INTO content_ids, needs_review
    FROM stored AS s;
    IF cardinality(content_ids) <> cardinality(held_ids) THEN
        RAISE EXCEPTION 'a trigger or rule on table contents suppressed an insert of content'
            USING ERRCODE = 'triggered_action_exception';
    END IF;
    IF needs_review THEN
        PERFORM contentq.notify_reviewers();
    END IF;

    RETURN QUERY
    UPDATE public.content_generation_tasks AS t
    SET status = 'completed',
        completed_at = clock_timestamp(),
        result = (
            format('{"success": true, "content_id": %s, "word_count": %s', r.content_id, r.word_count)
            || coalesce(', ' || nullif(btrim(substr(btrim(r.extra, E' \n\r\t'), 2), E' \n\r\t'), '}'), '}')
        )::json,
        content_id = r.content_id,
        error_message = NULL,
        revision_note = NULL,
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM unnest(held_ids, content_ids, held_counts, held_extras) AS r (id, content_id, word_count, extra)
    WHERE t.id = ANY (ARRAY[r.id])
    RETURNING t.id::bigint;

    IF cardinality(held_ids) > 0
        AND (SELECT c.quick_failures FROM contentq.claimers AS c WHERE c.worker_id = store.worker_id) > 0
    THEN
        PERFORM contentq.clear_failures(ARRAY[store.worker_id]);
    END IF;

    IF EXISTS (SELECT
               FROM unnest(held_extras) AS e (extra)
               WHERE strpos(e.extra, '_tokens"') > 0 OR strpos(e.extra, '"cost"') > 0)
        OR cardinality(held_ids) > 0
           AND (EXISTS (SELECT FROM public.accounts AS a WHERE a.monthly_budget IS NOT NULL)
                OR EXISTS (SELECT FROM contentq.budgets AS b))
    THEN
        tokens := contentq.add_usage(held_ids, held_extras);
    END IF;
    PERFORM contentq.note_answers(store.worker_id, cardinality(held_ids), last_began_at, tokens, held_ids, held_extras);

    IF coalesce(cardinality(held_ids), 0) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

-- Name: FUNCTION store(worker_id bigint, ids bigint[], attempts integer[], titles text[], bodies text[], word_counts integer[], extras text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.store(worker_id bigint, ids bigint[], attempts integer[], titles text[], bodies text[], word_counts integer[], extras text[]) IS 'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the same statement. extras: JSON objects as text whose members are added to the results. Returns the ids that counted.';

-- Name: sweep_batches(bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.sweep_batches(worker_id bigint, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    own_login constant text := session_user;
    left_since constant timestamptz := clock_timestamp() - interval '3 days';
    left_behind bigint;
    over_ids bigint[];
    unreported_ids bigint[];
    usages text[];
    account_ids bigint[];
    categories text[];
BEGIN
    IF NOT contentq.is_own_worker(sweep_batches.worker_id) THEN
        RETURN 0;
    END IF;
    PERFORM contentq.wake_answered(ARRAY(
        SELECT r.id
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.answered_at IS NOT NULL
          AND NOT r.is_taken
          AND t.status = 'pending'
          AND t.scheduled_at > clock_timestamp()
        ORDER BY r.answered_at
        LIMIT sweep_batches.max_rows
    ));
    WITH over AS (
        DELETE FROM contentq.batch_requests AS r
        WHERE (r.id, r.attempt) IN (
            SELECT a.id, a.attempt
            FROM contentq.batch_requests AS a
            LEFT JOIN public.content_generation_tasks AS t ON t.id = a.id
            WHERE a.answered_at IS NOT NULL
              AND NOT contentq.is_batch_wanted(t.status, t.handler_state, a.attempt)
            ORDER BY a.answered_at
            LIMIT sweep_batches.max_rows
            FOR UPDATE OF a SKIP LOCKED
        )
        RETURNING r.id, r.usage, r.is_taken, r.account_id, r.category
    )
    SELECT array_agg(o.id),
           array_agg(o.id) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.usage) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.account_id) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL),
           array_agg(o.category) FILTER (WHERE NOT o.is_taken AND o.usage IS NOT NULL)
    INTO over_ids, unreported_ids, usages, account_ids, categories
    FROM over AS o;
    IF unreported_ids IS NOT NULL THEN
        PERFORM contentq.add_usage(unreported_ids, usages, account_ids, categories);
    END IF;
    UPDATE contentq.provider_batches AS b
    SET status = 'abandoned',
        error = 'no worker of its login has looked at it for three days',
        ended_at = clock_timestamp(),
        tended_by = NULL
    WHERE b.id = (
        SELECT l.id
        FROM contentq.provider_batches AS l
        WHERE l.ended_at IS NULL
          AND l.login <> own_login
          AND l.due_at < left_since
          AND coalesce(l.tended_until, left_since - interval '1 day') < left_since
        ORDER BY l.due_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING b.id INTO left_behind;
    DELETE FROM contentq.batch_requests AS r
    WHERE r.batch_id = left_behind
      AND r.answered_at IS NULL;
    DELETE FROM contentq.batch_requests AS r
    WHERE (r.id, r.attempt) IN (
        SELECT l.id, l.attempt
        FROM contentq.batch_requests AS l
        WHERE l.batch_id IS NULL
          AND l.answered_at IS NULL
          AND l.login <> own_login
          AND l.due_at < left_since
        ORDER BY l.due_at
        LIMIT sweep_batches.max_rows
        FOR UPDATE SKIP LOCKED
    );
    DELETE FROM contentq.provider_batches AS b
    WHERE b.id IN (
        SELECT e.id
        FROM contentq.provider_batches AS e
        WHERE e.ended_at < clock_timestamp()
                           - coalesce((SELECT s.retention FROM contentq.settings AS s), interval '30 days')
          AND NOT EXISTS (SELECT FROM contentq.batch_requests AS r WHERE r.batch_id = e.id)
        ORDER BY e.ended_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    );
    RETURN coalesce(cardinality(over_ids), 0);
END;
$$;

-- Name: FUNCTION sweep_batches(worker_id bigint, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.sweep_batches(worker_id bigint, max_rows integer) IS 'Makes tasks ready that were locked when their batch answer arrived, deletes answers of ended tasks, and gives up batches of other logins that nobody has looked at for three days; returns how many answers it deleted.';

-- Name: sweep_hopeless(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.sweep_hopeless(max_rows integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    now_ constant timestamptz := clock_timestamp();
    longest constant interval := (SELECT max(d.median) FROM contentq.durations AS d);
    hopeless bigint[];
BEGIN
    hopeless := ARRAY(
        SELECT t.id
        FROM (
            SELECT w.id, w.status, w.category, w.timeout_at
            FROM public.content_generation_tasks AS w
            WHERE w.status IN ('pending', 'processing')
              AND w.timeout_at IS NOT NULL
              AND w.timeout_at > now_
              AND w.timeout_at <= now_ + longest
            ORDER BY w.timeout_at
            LIMIT 10 * sweep_hopeless.max_rows
        ) AS n
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
        WHERE n.status = 'pending'
          AND n.timeout_at <= now_ + contentq.median_duration(n.category)
          AND t.status = 'pending'
          AND t.timeout_at = n.timeout_at
        LIMIT sweep_hopeless.max_rows
        FOR UPDATE OF t SKIP LOCKED
    );
    IF cardinality(hopeless) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET status = 'timeout',
            error_message = contentq.shorten(
                format('Task timeout before execution: its deadline is %s, and tasks %s take %s s (median)%s',
                       date_trunc('second', t.timeout_at),
                       CASE WHEN t.category IS NULL THEN 'without a category'
                            ELSE format('of category %s', t.category) END,
                       round(extract(epoch FROM contentq.median_duration(t.category))::numeric, 1),
                       '; the last attempt ended with: ' || t.error_message),
                8000),
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (hopeless);
    END IF;
    RETURN cardinality(hopeless);
END;
$$;

-- Name: FUNCTION sweep_hopeless(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.sweep_hopeless(max_rows integer) IS 'Internal: ends waiting tasks that cannot finish by their deadline, by the median duration of their category.';

-- Name: sweep_timeouts(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.sweep_timeouts(max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    -- A constant: PostgreSQL cannot use an index to compare with a volatile function.
    now_ constant timestamptz := clock_timestamp();
    overdue bigint[];
BEGIN
    overdue := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status IN ('pending', 'processing')
          AND t.timeout_at IS NOT NULL
          AND t.timeout_at <= now_
        ORDER BY t.timeout_at
        LIMIT sweep_timeouts.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(overdue) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET status = CASE WHEN t.cancel_requested_at IS NULL THEN 'timeout' ELSE 'failed' END,
            error_message = CASE WHEN t.cancel_requested_at IS NOT NULL THEN 'Task cancelled'
                                 WHEN t.status = 'processing' THEN 'Task execution timeout'
                                 WHEN t.attempt > 0 AND t.error_message IS NOT NULL
                                 THEN contentq.shorten('Task timeout before the next attempt; the last one ended with: '
                                                       || t.error_message, 8000)
                                 ELSE 'Task timeout before execution' END,
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (overdue);
    END IF;
    RETURN cardinality(overdue);
END;
$$;

-- Name: FUNCTION sweep_timeouts(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.sweep_timeouts(max_rows integer) IS 'Ends up to max_rows tasks whose timeout_at has passed with status timeout (error message of running tasks: Task execution timeout). Returns how many.';

-- Name: task_of_content(bigint, bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.task_of_content(content_id bigint, generation_task_id bigint, account_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
BEGIN
    IF task_of_content.generation_task_id IS NOT NULL THEN
        RETURN task_of_content.generation_task_id;
    END IF;
    RETURN (
        SELECT max(t.id + 0)
        FROM public.content_generation_tasks AS t
        WHERE t.content_id = task_of_content.content_id
          AND t.account_id + 0 = task_of_content.account_id
    );
END;
$$;

-- Name: FUNCTION task_of_content(content_id bigint, generation_task_id bigint, account_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.task_of_content(content_id bigint, generation_task_id bigint, account_id bigint) IS 'Internal: the id of the task that produced a piece of content.';

-- Name: tell_waiters(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.tell_waiters() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    key text;
    setting text;
    told text;
    place integer;
    remembered text;
    found_before bigint;
    unended bigint;
BEGIN
    -- For the reasons, see wake_workers().
    IF current_setting('contentq.notify', true) = 'off' OR TG_RELID <> 'public.content_generation_tasks'::regclass THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'task' AND a.name = OLD.task_id) THEN
        PERFORM contentq.notify_waiters('task', OLD.task_id);
    END IF;
    IF OLD.batch IS NULL
        OR NOT EXISTS (SELECT FROM contentq.awaited AS a WHERE a.kind = 'batch' AND a.name = OLD.batch)
    THEN
        RETURN NULL;
    END IF;

    key := md5(format('%s %s', OLD.account_id, OLD.batch));
    setting := 'contentq.batches_told_' || left(key, 2);
    told := coalesce(current_setting(setting, true), '');
    place := strpos(told, key || '=');
    IF place > 0 THEN
        remembered := split_part(substr(told, place + 33, 21), ';', 1);
        IF remembered = 'told' THEN
            RETURN NULL;
        ELSIF remembered ~ '^-?[0-9]{1,18}$' THEN
            found_before := remembered::bigint;
        END IF;
    END IF;
    unended := contentq.unended_task(OLD.batch, OLD.account_id, found_before);
    IF unended IS NULL THEN
        PERFORM contentq.notify_waiters('batch', OLD.batch);
    END IF;
    IF unended IS NULL OR unended IS DISTINCT FROM found_before THEN
        IF place > 0 THEN
            told := replace(told, format('%s=%s;', key, remembered), '');
        END IF;
        -- At the beginning, before anything that a session has left behind.
        PERFORM set_config(setting, format('%s=%s;', key, coalesce(unended::text, 'told')) || told, true);
    END IF;
    RETURN NULL;
END;
$_$;

-- Name: FUNCTION tell_waiters(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.tell_waiters() IS 'Trigger: notifies the channels of wait_channel() at the commit of a transaction that ends a task, or the last of a batch.';

-- Name: touch_updated_at(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    -- The id of a worker that lost the task earlier, which could otherwise still report that attempt.
    IF NEW.status = 'processing' AND OLD.status <> 'processing' AND NEW.worker_id = OLD.worker_id THEN
        NEW.worker_id := NULL;
    END IF;
    IF NEW.status = 'pending' AND NEW.scheduled_at IS NULL
        AND (OLD.status <> 'pending' OR OLD.scheduled_at IS NOT NULL)
        AND NEW.ready_at IS NOT DISTINCT FROM OLD.ready_at
    THEN
        NEW.ready_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

-- Name: FUNCTION touch_updated_at(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.touch_updated_at() IS 'Trigger: sets updated_at to the time of the transaction on every update. A task set to processing by hand belongs to no worker, and a task made ready by hand gets ready_at.';

-- Name: try_cap(contentq.gates, double precision, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.try_cap(gate contentq.gates, limited double precision, now_ timestamp with time zone) RETURNS contentq.gates
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    step constant float8 := 0.5;
    steps constant integer := 3;
    begins constant float8 := 2 * contentq.gate_cycle(gate.peak);
    before constant integer := floor((gate.grown - begins) / step);
    calls bigint;
BEGIN
    IF floor((gate.grown + limited - begins) / step) = before OR gate.grown + limited < begins THEN
        gate.grown := gate.grown + limited;
        RETURN gate;
    END IF;
    calls := (SELECT t.calls FROM contentq.gate_totals(gate.key) AS t);
    IF before >= 0 AND calls < gate.cut_calls + 3 THEN
        RETURN gate;
    ELSIF before >= 0 AND (gate.cap_was_refused OR before + 1 >= steps) THEN
        RETURN contentq.end_cap(gate, calls, true, now_);
    END IF;
    gate.grown := begins + (greatest(before, -1) + 1) * step;
    gate.cut_at := now_;
    gate.cut_calls := calls;
    RETURN gate;
END;
$$;

-- Name: FUNCTION try_cap(gate contentq.gates, limited double precision, now_ timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.try_cap(gate contentq.gates, limited double precision, now_ timestamp with time zone) IS 'Internal: the row of a gate with a learned cap after tasks were started: starts and continues trials of the cap.';

-- Name: unended_task(text, bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.unended_task(batch text, account_id bigint, found_before bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN coalesce(
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.id = unended_task.found_before
           AND t.batch || '' = unended_task.batch
           AND t.account_id + 0 = unended_task.account_id
           AND (t.status IN ('pending', 'processing')) IS TRUE
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))),
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.batch = unended_task.batch
           AND t.status = 'pending'
           AND t.account_id BETWEEN unended_task.account_id AND unended_task.account_id
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))
         ORDER BY t.batch, t.status, t.account_id DESC
         LIMIT 1),
        (SELECT t.id
         FROM public.content_generation_tasks AS t
         WHERE t.batch = unended_task.batch
           AND t.status = 'processing'
           AND t.account_id BETWEEN unended_task.account_id AND unended_task.account_id
           AND (t.xmax = 0 OR NOT contentq.is_changing(t.xmax))
         ORDER BY t.batch, t.status, t.account_id DESC
         LIMIT 1)
    );
END;
$$;

-- Name: FUNCTION unended_task(batch text, account_id bigint, found_before bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.unended_task(batch text, account_id bigint, found_before bigint) IS 'Internal: a task of a batch and an account that has not ended, except tasks that are being changed.';

-- Name: unregistered_holders(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.unregistered_holders() RETURNS SETOF bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    WITH RECURSIVE holders (id) AS (
        SELECT (SELECT t.worker_id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'processing'
                  AND t.worker_id IS NOT NULL
                ORDER BY t.worker_id
                LIMIT 1)
        UNION ALL
        SELECT (SELECT t.worker_id
                FROM public.content_generation_tasks AS t
                WHERE t.status = 'processing'
                  AND t.worker_id > h.id
                ORDER BY t.worker_id
                LIMIT 1)
        FROM holders AS h
        WHERE h.id IS NOT NULL
    )
    SELECT h.id
    FROM holders AS h
    WHERE h.id IS NOT NULL
      AND NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = h.id)
    LIMIT 1000;
$$;

-- Name: FUNCTION unregistered_holders(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.unregistered_holders() IS 'Internal: the ids of workers that hold tasks but are not registered.';

-- Name: unregistered_running(timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.unregistered_running(since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT count(*) FILTER (WHERE r.gate IS NULL AND r.started_at >= unregistered_running.since)::integer
    FROM contentq.unregistered_holders() AS h (id)
    CROSS JOIN LATERAL (
        -- A range and an order that only the index on worker_id has; = would allow any index.
        SELECT t.gate, t.started_at
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id BETWEEN h.id AND h.id
          AND t.status = 'processing'
        ORDER BY t.worker_id
        OFFSET 0
    ) AS r;
$$;

-- Name: FUNCTION unregistered_running(since timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.unregistered_running(since timestamp with time zone) IS 'Internal: how many tasks run that belong to workers which are not registered.';

-- Name: unset_budget(bigint, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.unset_budget(account_id bigint DEFAULT NULL::bigint, category text DEFAULT NULL::text, period text DEFAULT 'month'::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    was_there boolean;
BEGIN
    IF unset_budget.account_id IS NOT NULL AND unset_budget.category IS NULL AND unset_budget.period = 'month' THEN
        UPDATE public.accounts AS a
        SET monthly_budget = NULL
        WHERE a.id = unset_budget.account_id
          AND a.monthly_budget IS NOT NULL;
    ELSE
        DELETE FROM contentq.budgets AS b
        WHERE b.account_id IS NOT DISTINCT FROM unset_budget.account_id
          AND b.category IS NOT DISTINCT FROM unset_budget.category
          AND b.period = unset_budget.period;
    END IF;
    was_there := FOUND;
    PERFORM contentq.notify_ready();
    RETURN was_there;
END;
$$;

-- Name: FUNCTION unset_budget(account_id bigint, category text, period text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.unset_budget(account_id bigint, category text, period text) IS 'Removes the budget of an account, a category, both, or all (NULL), for a day or a month; returns whether it existed.';

-- Name: usage_amount(jsonb); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.usage_amount(value jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN jsonb_typeof(usage_amount.value) = 'number' AND usage_amount.value::numeric BETWEEN 0 AND 1e12
        THEN trim_scale(round(usage_amount.value::numeric, 12))
        ELSE 0
    END;
$$;

-- Name: FUNCTION usage_amount(value jsonb); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.usage_amount(value jsonb) IS 'Internal: a count or a cost from JSON; 0 if the value is invalid.';

-- Name: used_up_budgets(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.used_up_budgets() RETURNS TABLE(account_id bigint, category text, period text, ends_at timestamp with time zone)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT b.account_id, b.category, b.period, contentq.budget_end(b.period)
    FROM (
        SELECT a.id::bigint AS account_id, NULL::text AS category, 'month' AS period, a.monthly_budget AS amount
        FROM public.accounts AS a
        WHERE a.monthly_budget IS NOT NULL
        UNION ALL
        SELECT g.account_id, g.category, g.period, g.amount
        FROM contentq.budgets AS g
    ) AS b
    WHERE contentq.budget_spent(b.account_id, b.category, b.period) >= b.amount;
$$;

-- Name: FUNCTION used_up_budgets(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.used_up_budgets() IS 'Internal: the budgets that are used up.';

-- Name: wait_channel(text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wait_channel(task_id text DEFAULT NULL::text, batch text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    began constant timestamptz := clock_timestamp();
    kind constant text := CASE WHEN wait_channel.task_id IS NOT NULL THEN 'task' ELSE 'batch' END;
    name constant text := coalesce(wait_channel.task_id, wait_channel.batch);
    is_ending boolean;
    has_ended boolean;
    is_new boolean;
    is_hanging boolean := false;
BEGIN
    IF num_nonnulls(wait_channel.task_id, wait_channel.batch) <> 1 THEN
        RAISE EXCEPTION 'pass exactly one of task_id and batch to wait for'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOOP
        -- Before the status: what ends in between has ended there. For a batch, running tasks are enough: workers end no
        -- others.
        is_ending := EXISTS (
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.task_id = wait_channel.task_id
              AND t.xmax <> 0
              AND contentq.is_changing(t.xmax)
            UNION ALL
            SELECT
            FROM public.content_generation_tasks AS t
            WHERE t.batch = wait_channel.batch
              AND t.status = 'processing'
              AND t.xmax <> 0
              AND contentq.is_changing(t.xmax)
        );
        IF kind = 'task' THEN
            has_ended := (
                SELECT t.status NOT IN ('pending', 'processing')
                FROM public.content_generation_tasks AS t
                WHERE t.task_id = wait_channel.task_id
            );
        ELSE
            has_ended := (
                SELECT NOT EXISTS (
                    SELECT
                    FROM public.content_generation_tasks AS u
                    WHERE u.batch = wait_channel.batch
                      AND u.status IN ('pending', 'processing')
                )
                FROM public.content_generation_tasks AS t
                WHERE t.batch = wait_channel.batch
                LIMIT 1
            );
        END IF;
        IF has_ended IS NULL THEN
            RAISE EXCEPTION 'there is no % %', kind, name
                USING ERRCODE = 'no_data_found';
        END IF;
        is_new := coalesce(is_new, NOT has_ended AND contentq.await_end(kind, name));
        EXIT WHEN has_ended OR is_new OR NOT is_ending;
        is_hanging := clock_timestamp() > began + interval '1 second';
        EXIT WHEN is_hanging;
        PERFORM pg_sleep(0.005);
    END LOOP;
    RETURN contentq.notify_waiters(kind, name, sends => has_ended OR is_hanging);
END;
$$;

-- Name: FUNCTION wait_channel(task_id text, batch text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.wait_channel(task_id text, batch text) IS 'The channel to LISTEN on for the end of a task, or of all tasks of a batch. Call it, LISTEN, call it again and read the status; do the same after a notification. If it has already ended, it notifies at once.';

-- Name: wait_for_gate(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wait_for_gate(key text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM contentq.gates AS g WHERE g.key = wait_for_gate.key FOR NO KEY UPDATE;
    RETURN contentq.gate_room(wait_for_gate.key, 1);
EXCEPTION
    WHEN lock_not_available THEN
        RETURN -1;
END;
$$;

-- Name: FUNCTION wait_for_gate(key text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.wait_for_gate(key text) IS 'Internal: waits a moment for the row of a gate; returns whether a task may start there, as gate_room().';

-- Name: waits_for(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.waits_for(worker_id bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    IF NOT has_table_privilege(session_user, 'contentq.gates', 'SELECT') THEN
        PERFORM contentq.is_own_worker(waits_for.worker_id);
    END IF;
    RETURN (
        SELECT string_agg(r.why, '; ')
        FROM contentq.workers AS w
        CROSS JOIN LATERAL contentq.worker_wait(w) AS r
        WHERE w.id = waits_for.worker_id
    );
END;
$$;

-- Name: FUNCTION waits_for(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.waits_for(worker_id bigint) IS 'Why a worker may not start a task now: it is draining, a gate limits it, or it keeps failing; NULL for none of these.';

-- Name: wake_answered(bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wake_answered(ids bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    woken bigint[];
BEGIN
    woken := ARRAY(
        SELECT t.id
        FROM contentq.batch_requests AS r
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.id = ANY (wake_answered.ids)
          AND r.answered_at IS NOT NULL
          AND t.status = 'pending'
          AND t.scheduled_at > clock_timestamp()
          AND contentq.is_batch_wanted(t.status, t.handler_state, r.attempt)
        ORDER BY t.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    );
    IF cardinality(woken) > 0 THEN
        UPDATE public.content_generation_tasks AS t
        SET scheduled_at = NULL,
            ready_at = clock_timestamp(),
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (woken);
    END IF;
    RETURN cardinality(woken);
END;
$$;

-- Name: FUNCTION wake_answered(ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.wake_answered(ids bigint[]) IS 'Internal: makes those of these tasks ready whose batch answer has arrived; returns how many.';

-- Name: wake_half_open(text, timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wake_half_open(key text, last_began_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM contentq.gates AS g
        WHERE g.key = wake_half_open.key
          AND g.half_open
          AND g.opens_at <= wake_half_open.last_began_at
    ) THEN
        PERFORM contentq.notify_ready();
    END IF;
END;
$$;

-- Name: FUNCTION wake_half_open(key text, last_began_at timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.wake_half_open(key text, last_began_at timestamp with time zone) IS 'Internal: wakes the fleet when the provider of a half-open gate has answered.';

-- Name: wake_workers(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wake_workers() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    this_slot constant integer := floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000;
BEGIN
    -- A session can disable it: a transaction that has notified cannot be prepared for a two-phase commit.
    IF current_setting('contentq.notify', true) = 'off' OR pg_notification_queue_usage() >= 0.5 THEN
        RETURN NULL;
    END IF;
    IF TG_RELID = 'public.content_generation_tasks'::regclass THEN
        PERFORM FROM contentq.wakeups AS w WHERE w.slot = this_slot FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            PERFORM
            FROM contentq.silent_commits AS c
            WHERE c.place = pg_backend_pid() % 64
              AND EXISTS (SELECT FROM contentq.wakeups AS w WHERE w.slot = this_slot)
            FOR NO KEY UPDATE OF c SKIP LOCKED;
            IF FOUND THEN
                RETURN NULL;
            END IF;
        END IF;
    END IF;
    -- As notify_ready().
    PERFORM pg_notify('contentq_ready', '');
    RETURN NULL;
END;
$$;

-- Name: FUNCTION wake_workers(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.wake_workers() IS 'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that inserted tasks or made some ready; of several that commit at the same time, one notifies for all.';

-- Name: warn_of_row_security(name); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.warn_of_row_security(login name DEFAULT CURRENT_USER) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    secured constant text := (
        SELECT string_agg(c.relname, ', ' ORDER BY t.place)
        FROM unnest(ARRAY[
            'public.content_generation_tasks'::regclass, 'public.accounts'::regclass, 'public.contents'::regclass
        ]) WITH ORDINALITY AS t (rel, place)
        JOIN pg_class AS c ON c.oid = t.rel
        JOIN pg_roles AS r ON r.rolname = login
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(p.polpermissive
                                    AND p.polcmd = '*'
                                    AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                                    AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid) = 'true', true)), false)
                   AND bool_and(p.polpermissive) AS shows_all
            FROM pg_policy AS p
            WHERE p.polrelid = c.oid
              AND EXISTS (SELECT
                          FROM unnest(p.polroles) AS m (oid)
                          WHERE m.oid = 0 OR pg_has_role(login, m.oid, 'USAGE'))
        ) AS p
        WHERE c.relrowsecurity
          AND NOT r.rolsuper
          AND NOT r.rolbypassrls
          AND (c.relforcerowsecurity OR NOT pg_has_role(login, c.relowner, 'USAGE'))
          AND p.shows_all IS NOT TRUE
    );
BEGIN
    IF secured IS NOT NULL THEN
        RAISE WARNING 'row level security is on for %: role % sees only the rows that a policy allows; '
                      'give it a policy for all rows, or BYPASSRLS', secured, login;
    END IF;
END;
$$;

-- Name: FUNCTION warn_of_row_security(login name); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.warn_of_row_security(login name) IS 'Internal: raises a warning if row level security hides rows of the tables from this role.';

-- Name: worker_room(contentq.workers, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.worker_room(worker contentq.workers, wanted integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    room integer := worker_room.wanted;
    failing constant interval := contentq.failing_wait(worker.id);
BEGIN
    IF worker.draining THEN
        RETURN 0;
    ELSIF failing IS NOT NULL THEN
        IF failing > interval '0'
            OR EXISTS (SELECT
                       FROM public.content_generation_tasks AS t
                       WHERE t.worker_id = worker.id
                         AND t.status = 'processing')
        THEN
            RETURN 0;
        END IF;
        room := 1;
    END IF;
    room := contentq.gate_room('*', room);
    IF room > 0 AND worker.gate IS NOT NULL THEN
        room := contentq.gate_room(worker.gate, room);
    ELSIF room > 0 AND worker.gates IS NOT NULL THEN
        room := contentq.gates_room(worker.gates, room);
    END IF;
    RETURN room;
END;
$$;

-- Name: FUNCTION worker_room(worker contentq.workers, wanted integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.worker_room(worker contentq.workers, wanted integer) IS 'Internal: how many tasks a worker may start now, by its own state, its gate or gates, and the gate *.';

-- Name: worker_wait(contentq.workers); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.worker_wait(worker contentq.workers) RETURNS TABLE(next_in interval, why text)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT g.next_in, g.why
    FROM contentq.gate_wait('*') AS g
    UNION ALL
    SELECT g.next_in, g.why
    FROM contentq.gate_wait(worker.gate) AS g
    UNION ALL
    SELECT s.next_in, s.why
    FROM contentq.gates_state(worker.gates) AS s
    WHERE worker.gates IS NOT NULL
      AND s.room < 1
    UNION ALL
    SELECT o.next_in, o.why
    FROM contentq.own_wait(worker) AS o;
$$;

-- Name: FUNCTION worker_wait(worker contentq.workers); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.worker_wait(worker contentq.workers) IS 'Internal: what keeps a worker from starting a task: for how long (NULL: not known), and why; no rows for nothing.';

-- Name: workers_wait(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.workers_wait() RETURNS TABLE(worker_id bigint, why text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    unregistered constant integer := contentq.unregistered_running();
    of_all constant text := (SELECT string_agg(g.why, '; ')
                             FROM contentq.gate_wait('*', unregistered => unregistered) AS g);
BEGIN
    IF NOT has_table_privilege(session_user, 'contentq.gates', 'SELECT') THEN
        RAISE EXCEPTION 'login % may not see why workers wait', session_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It requires the right to read contentq.gates.';
    END IF;
    RETURN QUERY
    WITH at_gate AS MATERIALIZED (
        SELECT d.gate, w.why
        FROM (SELECT DISTINCT o.gate FROM contentq.workers AS o WHERE o.gate IS NOT NULL) AS d
        CROSS JOIN LATERAL contentq.gate_wait(d.gate, unregistered => unregistered) AS w
    ),
    at_gates AS MATERIALIZED (
        SELECT d.gates, s.why
        FROM (SELECT DISTINCT o.gates FROM contentq.workers AS o WHERE o.gates IS NOT NULL) AS d
        CROSS JOIN LATERAL contentq.gates_state(d.gates, unregistered => unregistered) AS s
        WHERE s.room < 1
    )
    SELECT *
    FROM (
        SELECT w.id,
               nullif(concat_ws('; ', of_all, g.why, s.why, (SELECT string_agg(o.why, '; ') FROM contentq.own_wait(w) AS o)), '')
                   AS why
        FROM contentq.workers AS w
        LEFT JOIN at_gate AS g ON g.gate = w.gate
        LEFT JOIN at_gates AS s ON s.gates = w.gates
    ) AS r
    WHERE r.why IS NOT NULL;
END;
$$;

-- Name: FUNCTION workers_wait(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.workers_wait() IS 'Internal: why each worker may not start a task now; no row for those that may.';

-- Name: account_roles; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.account_roles (
    role_name name NOT NULL,
    account_id bigint NOT NULL
);

-- Name: TABLE account_roles; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.account_roles IS 'Who sees which accounts: with row level security on, a role and its members see and insert rows of these accounts.';

-- Name: COLUMN account_roles.role_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_roles.role_name IS 'A login, or a group of logins.';

-- Name: COLUMN account_roles.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_roles.account_id IS 'An account whose rows it may see, and for which it may insert tasks.';

-- Name: accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.accounts WITH (security_invoker='true') AS
 SELECT id,
    name,
    created_at,
    external_id,
    paused_until,
    monthly_budget,
    share,
    max_running
   FROM public.accounts a;

-- Name: VIEW accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.accounts IS 'Table accounts, regardless of its schema: the columns that contentq uses. Read and write it like the table.';

-- Name: alembic_version; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.alembic_version (
    version_num character varying(32) NOT NULL
);

-- Name: awaited; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.awaited (
    id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT awaited_kind_check CHECK ((kind = ANY (ARRAY['task'::text, 'batch'::text]))),
    CONSTRAINT awaited_since_check CHECK (isfinite(since))
);

-- Name: TABLE awaited; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.awaited IS 'Internal: tasks and batches for whose end a session waits (wait_channel); a row is deleted when it has ended.';

-- Name: COLUMN awaited.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.awaited.id IS 'In the order of the calls; two rows may be for the same task or batch.';

-- Name: COLUMN awaited.kind; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.awaited.kind IS 'task or batch.';

-- Name: COLUMN awaited.name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.awaited.name IS 'The task_id, or the name of the batch.';

-- Name: COLUMN awaited.since; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.awaited.since IS 'When a session first asked; maintain() deletes the row after a day.';

-- Name: awaited_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.awaited ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.awaited_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: backlog_by_account; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.backlog_by_account WITH (security_invoker='true') AS
 SELECT t.account_id,
        CASE
            WHEN (length((a.name)::text) > 30) THEN (("left"((a.name)::text, 27) || '...'::text))::character varying
            ELSE a.name
        END AS name,
    count(*) FILTER (WHERE ((t.status)::text = 'pending'::text)) AS pending,
    count(*) FILTER (WHERE (((t.status)::text = 'pending'::text) AND (t.scheduled_at > clock_timestamp()))) AS scheduled,
    count(*) FILTER (WHERE ((t.status)::text = 'processing'::text)) AS processing,
    max(t.priority) FILTER (WHERE ((t.status)::text = 'pending'::text)) AS top_priority,
    date_trunc('second'::text, (clock_timestamp() - min(t.submitted_at) FILTER (WHERE ((t.status)::text = 'pending'::text)))) AS oldest_age
   FROM (public.content_generation_tasks t
     JOIN public.accounts a ON ((a.id = t.account_id)))
  WHERE ((t.status)::text = ANY ('{pending,processing}'::text[]))
  GROUP BY t.account_id, a.name
  ORDER BY (count(*) FILTER (WHERE ((t.status)::text = 'pending'::text))) DESC, t.account_id;

-- Name: VIEW backlog_by_account; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.backlog_by_account IS 'By account: pending tasks, those of them scheduled for later, processing tasks, highest waiting priority, age of the oldest.';

-- Name: batch_requests; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.batch_requests (
    id bigint NOT NULL,
    attempt integer NOT NULL,
    account_id bigint NOT NULL,
    category text DEFAULT ''::text NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    body text NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    batch_id bigint,
    sendings integer DEFAULT 0 NOT NULL,
    answered_at timestamp with time zone,
    status_code integer,
    answer text,
    usage text,
    is_taken boolean DEFAULT false NOT NULL
);

-- Name: TABLE batch_requests; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.batch_requests IS 'Requests of attempts for provider batches, with their answers, until their tasks have ended.';

-- Name: COLUMN batch_requests.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.id IS 'The id of the task.';

-- Name: COLUMN batch_requests.attempt; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.attempt IS 'The attempt that made the request; the task has it in handler_state.';

-- Name: COLUMN batch_requests.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.account_id IS 'The account of the task.';

-- Name: COLUMN batch_requests.category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.category IS 'The category of the task, up to 200 characters; empty for none.';

-- Name: COLUMN batch_requests.login; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.login IS 'The login of the worker that made the request; only workers of this login send it and store its answer.';

-- Name: COLUMN batch_requests.provider; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.provider IS 'The address of the API.';

-- Name: COLUMN batch_requests.model; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.model IS 'The model of the request.';

-- Name: COLUMN batch_requests.body; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.body IS 'The request: a JSON object in one line.';

-- Name: COLUMN batch_requests.asked_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.asked_at IS 'When the request was made.';

-- Name: COLUMN batch_requests.due_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.due_at IS 'The request is not sent before this time.';

-- Name: COLUMN batch_requests.batch_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.batch_id IS 'Its batch; NULL: it waits for one.';

-- Name: COLUMN batch_requests.sendings; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.sendings IS 'How often it was sent; more than once if a batch expired.';

-- Name: COLUMN batch_requests.answered_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.answered_at IS 'When the answer was stored.';

-- Name: COLUMN batch_requests.status_code; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.status_code IS 'HTTP status of the answer.';

-- Name: COLUMN batch_requests.answer; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.answer IS 'Body of the answer, as JSON.';

-- Name: COLUMN batch_requests.usage; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.usage IS 'Usage of the answer (tokens, cost), as JSON.';

-- Name: COLUMN batch_requests.is_taken; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.batch_requests.is_taken IS 'Whether an attempt has taken the answer and reports its cost.';

-- Name: batches; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.batches WITH (security_invoker='true') AS
 SELECT batch,
    accounts,
    tasks,
    pending,
    processing,
    completed,
    failed,
    timeout,
    round(((((completed + failed) + timeout))::numeric / (tasks)::numeric), 4) AS done_share,
    cost,
    submitted_at,
    last_ended_at,
        CASE
            WHEN (((pending + processing) > 0) AND (ended_lately > 0)) THEN GREATEST((clock_timestamp() + ('00:00:01'::interval * ((((pending + processing))::double precision * GREATEST(LEAST((600)::double precision, seconds), (1)::double precision)) / (ended_lately)::double precision))), scheduled_until)
            ELSE NULL::timestamp with time zone
        END AS expected_end
   FROM ( SELECT t.batch,
            count(DISTINCT t.account_id) AS accounts,
            count(*) AS tasks,
            count(*) FILTER (WHERE ((t.status)::text = 'pending'::text)) AS pending,
            count(*) FILTER (WHERE ((t.status)::text = 'processing'::text)) AS processing,
            count(*) FILTER (WHERE ((t.status)::text = 'completed'::text)) AS completed,
            count(*) FILTER (WHERE ((t.status)::text = 'failed'::text)) AS failed,
            count(*) FILTER (WHERE ((t.status)::text = 'timeout'::text)) AS timeout,
            round(sum(
                CASE
                    WHEN ((json_typeof((t.result -> 'cost'::text)) = 'number'::text) AND ((((t.result ->> 'cost'::text))::numeric >= (0)::numeric) AND (((t.result ->> 'cost'::text))::numeric <= '1000000000000'::numeric))) THEN ((t.result ->> 'cost'::text))::numeric
                    ELSE NULL::numeric
                END), 6) AS cost,
            min(t.submitted_at) AS submitted_at,
            max(e.ended_at) AS last_ended_at,
            max(t.scheduled_at) FILTER (WHERE ((t.status)::text = 'pending'::text)) AS scheduled_until,
            count(*) FILTER (WHERE (e.ended_at > (clock_timestamp() - '00:10:00'::interval))) AS ended_lately,
            ((EXTRACT(epoch FROM clock_timestamp()) - EXTRACT(epoch FROM min(t.started_at) FILTER (WHERE (e.ended_at IS NOT NULL)))))::double precision AS seconds
           FROM (public.content_generation_tasks t
             CROSS JOIN LATERAL ( SELECT
                        CASE
                            WHEN ((t.status)::text = 'completed'::text) THEN t.completed_at
                            WHEN (((t.status)::text = 'failed'::text) OR ((t.status)::text = 'timeout'::text)) THEN t.updated_at
                            ELSE NULL::timestamp with time zone
                        END AS ended_at) e)
          WHERE (t.batch IS NOT NULL)
          GROUP BY t.batch) b
  ORDER BY submitted_at DESC, batch;

-- Name: VIEW batches; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.batches IS 'Tasks that were submitted together, by batch: tasks by status, the share that has ended, the cost in their results, and the end expected from the rate of the last ten minutes. Latest first; a condition on batch makes it fast.';

-- Name: blocked_accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.blocked_accounts WITH (security_invoker='true') AS
 SELECT (a.id)::bigint AS account_id,
        CASE
            WHEN (a.paused_until > clock_timestamp()) THEN a.paused_until
            ELSE NULL::timestamp with time zone
        END AS paused_until,
    b.over_budget_until
   FROM (public.accounts a
     LEFT JOIN ( SELECT u.account_id,
            max(u.ends_at) AS over_budget_until
           FROM contentq.used_up_budgets() u(account_id, category, period, ends_at)
          WHERE ((u.category IS NULL) AND (u.account_id IS NOT NULL))
          GROUP BY u.account_id) b ON ((b.account_id = a.id)))
  WHERE ((a.paused_until > clock_timestamp()) OR (b.over_budget_until IS NOT NULL));

-- Name: VIEW blocked_accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.blocked_accounts IS 'Accounts whose tasks are not claimed now, and until when: paused, or a budget for all of their tasks is used up until the next day or month (UTC).';

-- Name: budget_events; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.budget_events (
    id bigint NOT NULL,
    account_id bigint,
    category text,
    period text NOT NULL,
    began_on date NOT NULL,
    amount numeric NOT NULL,
    near_at timestamp with time zone NOT NULL,
    used_up_at timestamp with time zone
);

-- Name: TABLE budget_events; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.budget_events IS 'When budgets were found to be near their end or used up, so that channel contentq_budgets is notified once: one row for each budget, for its latest such day or month.';

-- Name: COLUMN budget_events.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.id IS 'Identifier of the row.';

-- Name: COLUMN budget_events.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.account_id IS 'The account of the budget; NULL: all.';

-- Name: COLUMN budget_events.category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.category IS 'The category of the budget; NULL: all.';

-- Name: COLUMN budget_events.period; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.period IS 'day or month.';

-- Name: COLUMN budget_events.began_on; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.began_on IS 'First day of that day or month.';

-- Name: COLUMN budget_events.amount; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.amount IS 'The budget at that time; a budget that changes is reported again.';

-- Name: COLUMN budget_events.near_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.near_at IS 'When it was found to exceed settings.budget_warning.';

-- Name: COLUMN budget_events.used_up_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_events.used_up_at IS 'When it was found to be used up; NULL: not yet.';

-- Name: budget_events_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.budget_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.budget_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: budgets; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.budgets (
    id bigint NOT NULL,
    account_id bigint,
    category text,
    period text NOT NULL,
    amount numeric NOT NULL,
    CONSTRAINT budgets_amount_check CHECK (((amount >= (0)::numeric) AND (amount < 'Infinity'::numeric))),
    CONSTRAINT budgets_category_check CHECK (((length(category) >= 1) AND (length(category) <= 200))),
    CONSTRAINT budgets_monthly_budget_check CHECK (((account_id IS NULL) OR (category IS NOT NULL) OR (period <> 'month'::text))),
    CONSTRAINT budgets_period_check CHECK ((period = ANY (ARRAY['day'::text, 'month'::text])))
);

-- Name: TABLE budgets; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.budgets IS 'Maximum cost of attempts in a day or a month (UTC), by account, by category, or both; set with set_budget(). The monthly budget of an account without a category is accounts.monthly_budget.';

-- Name: COLUMN budgets.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budgets.id IS 'Identifier of the row.';

-- Name: COLUMN budgets.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budgets.account_id IS 'The account whose tasks count; NULL: all accounts together.';

-- Name: COLUMN budgets.category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budgets.category IS 'The category whose tasks count; NULL: all tasks.';

-- Name: COLUMN budgets.period; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budgets.period IS 'day or month; both begin at midnight UTC.';

-- Name: COLUMN budgets.amount; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budgets.amount IS 'Maximum cost of attempts in the period, in the currency of the handler''s prices.';

-- Name: budget_status; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.budget_status WITH (security_invoker='true') AS
 SELECT b.account_id,
    b.category,
    b.period,
    b.amount,
    round(r.spent, 6) AS spent,
    round(r.reserved, 6) AS reserved,
    r.running,
    round((((100)::numeric * r.spent) / NULLIF(b.amount, (0)::numeric)), 1) AS percent,
    s.state,
        CASE s.state
            WHEN 'near'::text THEN e.near_at
            WHEN 'used_up'::text THEN e.used_up_at
            ELSE NULL::timestamp with time zone
        END AS since,
    contentq.budget_end(b.period) AS ends_at
   FROM ((((( SELECT (a.id)::bigint AS account_id,
            NULL::text AS category,
            'month'::text AS period,
            a.monthly_budget AS amount
           FROM public.accounts a
          WHERE (a.monthly_budget IS NOT NULL)
        UNION ALL
         SELECT g.account_id,
            g.category,
            g.period,
            g.amount
           FROM contentq.budgets g) b
     CROSS JOIN contentq.settings c)
     CROSS JOIN LATERAL contentq.budget_room(b.account_id, b.category, b.period, b.amount) r(spent, reserved, running, fits, expected, is_full))
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (r.spent >= b.amount) THEN 'used_up'::text
                    WHEN (r.spent >= (b.amount * c.budget_warning)) THEN 'near'::text
                    ELSE 'ok'::text
                END AS state) s)
     LEFT JOIN contentq.budget_events e ON (((NOT (e.account_id IS DISTINCT FROM b.account_id)) AND (NOT (e.category IS DISTINCT FROM b.category)) AND (e.period = b.period) AND (e.began_on = contentq.budget_start(b.period)) AND (e.amount = b.amount))))
  ORDER BY (r.spent / NULLIF(b.amount, (0)::numeric)) DESC, b.account_id NULLS FIRST, b.category NULLS FIRST, b.period;

-- Name: VIEW budget_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.budget_status IS 'Budgets of the current day or month (UTC), by account and category (NULL: any): cost so far, reserved for running tasks, percent spent, and state: ok, near its end (settings.budget_warning) or used_up, and since when.';

-- Name: budgets_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.budgets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.budgets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: cap_locks; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.cap_locks (
    place integer NOT NULL
);

-- Name: TABLE cap_locks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.cap_locks IS 'Locks under which claims count running tasks of accounts with max_running, and what is left of budgets, so that no two count at once: one for each account id modulo 64, or digest of a category. Claims skip what is locked and never wait.';

-- Name: COLUMN cap_locks.place; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.cap_locks.place IS '0 to 63.';

-- Name: claimers; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.claimers (
    worker_id bigint NOT NULL,
    calls bigint DEFAULT 0 NOT NULL,
    answered bigint DEFAULT 0 NOT NULL,
    last_answered timestamp with time zone,
    tokens numeric DEFAULT 0 NOT NULL,
    quick_failures integer DEFAULT 0 NOT NULL,
    failed_at timestamp with time zone,
    memory jsonb DEFAULT '{}'::jsonb NOT NULL
)
WITH (fillfactor='50');

-- Name: TABLE claimers; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.claimers IS 'Counts of the claims and reports of each worker, and what its claims remember; removed with the worker.';

-- Name: COLUMN claimers.worker_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.worker_id IS 'The worker.';

-- Name: COLUMN claimers.calls; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.calls IS 'Number of tasks that it has claimed; counted for workers with one gate.';

-- Name: COLUMN claimers.answered; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.answered IS 'Number of attempts that the provider answered; counted for workers with one gate.';

-- Name: COLUMN claimers.last_answered; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.last_answered IS 'When the latest of these attempts began.';

-- Name: COLUMN claimers.tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.tokens IS 'Number of tokens of these attempts, as far as their results report them.';

-- Name: COLUMN claimers.quick_failures; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.quick_failures IS 'Number of attempts in a row that failed within a second; from 5 on the worker is slowed down until one succeeds.';

-- Name: COLUMN claimers.failed_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.failed_at IS 'When the last of these failed.';

-- Name: COLUMN claimers.memory; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.claimers.memory IS 'What its next claims need not find out again: places in the ready index, accounts over budget, and turns in fair order by priority. Without it, claims read more and turns begin anew.';

-- Name: content_versions; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.content_versions WITH (security_invoker='true') AS
 SELECT t.task_id,
    ( SELECT count(*) AS count
           FROM public.contents v
          WHERE ((v.generation_task_id = c.generation_task_id) AND ((v.id + 0) <= c.id))) AS version,
    c.id AS content_id,
    c.account_id,
    c.title,
    c.word_count,
    c.review_status,
    c.reviewed_by,
    c.reviewed_at,
    c.review_note AS note,
    c.created_at
   FROM (public.content_generation_tasks t
     JOIN public.contents c ON (((c.generation_task_id = t.id) AND ((c.account_id + 0) = t.account_id))))
UNION ALL
 SELECT t.task_id,
    1 AS version,
    c.id AS content_id,
    c.account_id,
    c.title,
    c.word_count,
    c.review_status,
    c.reviewed_by,
    c.reviewed_at,
    c.review_note AS note,
    c.created_at
   FROM (public.content_generation_tasks t
     JOIN public.contents c ON (((c.id = t.content_id) AND ((c.account_id + 0) = t.account_id))))
  WHERE (c.generation_task_id IS NULL);

-- Name: VIEW content_versions; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.content_versions IS 'Every version of the content that tasks have produced (1 is the first), who reviewed it, and the review note.';

-- Name: contents; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.contents WITH (security_invoker='true') AS
 SELECT id,
    account_id,
    title,
    body,
    word_count,
    review_status,
    created_at,
    generation_task_id,
    reviewed_by,
    reviewed_at,
    review_note
   FROM public.contents c;

-- Name: VIEW contents; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.contents IS 'Table contents, regardless of its schema: the columns that contentq uses. Read and write it like the table.';

-- Name: dead_workers; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.dead_workers (
    id bigint NOT NULL,
    found_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    worker_id bigint NOT NULL,
    hostname text,
    pid integer,
    handler text,
    version text,
    started_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    draining boolean NOT NULL,
    ids bigint[] NOT NULL,
    attempts integer[] NOT NULL
);

-- Name: TABLE dead_workers; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.dead_workers IS 'Workers found dead, and the tasks that were rescued from them; rows are deleted after settings.retention, or 30 days if that is NULL. See also the view rescued_tasks.';

-- Name: COLUMN dead_workers.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.id IS 'Identifier of the row.';

-- Name: COLUMN dead_workers.found_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.found_at IS 'When its tasks were rescued.';

-- Name: COLUMN dead_workers.worker_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.worker_id IS 'Its id.';

-- Name: COLUMN dead_workers.hostname; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.hostname IS 'The machine on which it ran; this and the following columns are NULL if it was no longer registered.';

-- Name: COLUMN dead_workers.pid; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.pid IS 'Its process id on that machine.';

-- Name: COLUMN dead_workers.handler; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.handler IS 'Its handler.';

-- Name: COLUMN dead_workers.version; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.version IS 'Version of the program.';

-- Name: COLUMN dead_workers.started_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.started_at IS 'When it registered.';

-- Name: COLUMN dead_workers.heartbeat_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.heartbeat_at IS 'When its last heartbeat arrived.';

-- Name: COLUMN dead_workers.draining; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.draining IS 'Whether it was draining; if so, its tasks were charged no retry.';

-- Name: COLUMN dead_workers.ids; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.ids IS 'The ids of the tasks that were rescued from it.';

-- Name: COLUMN dead_workers.attempts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.attempts IS 'The lost attempts at these tasks, in the same order.';

-- Name: dead_workers_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.dead_workers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.dead_workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: definitions; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.definitions (
    kind text NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    installed text NOT NULL
);

-- Name: TABLE definitions; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.definitions IS 'The functions, views and triggers that contentq migrate created, with digests that show which of them were changed since, or differ in another version of contentq.';

-- Name: COLUMN definitions.kind; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.kind IS 'function, view or trigger.';

-- Name: COLUMN definitions.name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.name IS 'Its name; for a trigger, table.trigger.';

-- Name: COLUMN definitions.source; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.source IS 'MD5 digest of the text from which it was created.';

-- Name: COLUMN definitions.installed; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.installed IS 'MD5 digest of its definition and comment in the catalogue after its creation.';

-- Name: error_groups; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.error_groups WITH (security_invoker='true') AS
 SELECT error,
    tasks,
    failed,
    timeout,
    retrying,
    accounts,
    first_at,
    last_at,
    example,
    example_message
   FROM contentq.group_errors() g(error, tasks, failed, timeout, retrying, accounts, first_at, last_at, example, example_message);

-- Name: VIEW error_groups; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.error_groups IS 'Errors of tasks that failed, timed out or wait for a retry, by kind: error is the message without numbers, ids and quoted text. To requeue all tasks of a kind: contentq.requeue_matching(error => ...).';

-- Name: failure_counts; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.failure_counts (
    id bigint NOT NULL,
    error_class text NOT NULL,
    attempts bigint NOT NULL
)
WITH (fillfactor='50');

-- Name: TABLE failure_counts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.failure_counts IS 'Number of failed attempts since the queue was created, by error class. Sum the rows: there may be several for each class, so that no report waits for another.';

-- Name: COLUMN failure_counts.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.failure_counts.id IS 'Identifier of the row.';

-- Name: COLUMN failure_counts.error_class; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.failure_counts.error_class IS 'The error class, as the handler reports it; after 100 classes, new ones are counted as other.';

-- Name: COLUMN failure_counts.attempts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.failure_counts.attempts IS 'Number of failed attempts.';

-- Name: failure_counts_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.failure_counts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.failure_counts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: gate_counts; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.gate_counts (
    id bigint NOT NULL,
    worker_id bigint NOT NULL,
    gate text NOT NULL,
    calls bigint DEFAULT 0 NOT NULL,
    answered bigint DEFAULT 0 NOT NULL,
    last_answered timestamp with time zone,
    tokens numeric DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

-- Name: TABLE gate_counts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.gate_counts IS 'Counts of the tasks of workers with several gates at each gate, in one row or more; removed with the worker.';

-- Name: COLUMN gate_counts.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.id IS 'Identifier of the row.';

-- Name: COLUMN gate_counts.worker_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.worker_id IS 'The worker.';

-- Name: COLUMN gate_counts.gate; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.gate IS 'The gate that its tasks entered.';

-- Name: COLUMN gate_counts.calls; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.calls IS 'How often its tasks entered it.';

-- Name: COLUMN gate_counts.answered; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.answered IS 'How often the provider answered.';

-- Name: COLUMN gate_counts.last_answered; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.last_answered IS 'When the latest of these calls entered the gate.';

-- Name: COLUMN gate_counts.tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gate_counts.tokens IS 'Number of tokens of these calls, as far as reported.';

-- Name: gate_counts_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.gate_counts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.gate_counts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: gate_events_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.gate_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.gate_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: gate_status; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.gate_status WITH (security_invoker='true') AS
 SELECT k.key,
        CASE
            WHEN (g.opens_at > clock_timestamp()) THEN 'closed'::text
            WHEN g.half_open THEN 'half open'::text
            WHEN (s.room < 1) THEN 'waits'::text
            ELSE 'open'::text
        END AS state,
        CASE
            WHEN (g.opens_at > clock_timestamp()) THEN date_trunc('second'::text, g.opens_at)
            ELSE NULL::timestamp with time zone
        END AS opens_at,
        CASE
            WHEN ((g.opens_at > clock_timestamp()) AND isfinite(g.opens_at)) THEN date_trunc('second'::text, (g.opens_at - clock_timestamp()))
            ELSE NULL::interval
        END AS time_left,
    COALESCE(w.workers, (0)::bigint) AS workers,
    (COALESCE(w.running, (0)::numeric) + (COALESCE(i.running, (0)::bigint))::numeric) AS running,
    contentq.gate_cap(g.*) AS max_running,
        CASE
            WHEN (contentq.gate_cap(g.*) IS NULL) THEN NULL::text
            WHEN (g.max_running <= contentq.gate_cap(g.*)) THEN 'set'::text
            ELSE 'learned'::text
        END AS max_running_is,
    round((contentq.gate_pace(g.*))::numeric, 2) AS pace,
        CASE
            WHEN (contentq.gate_pace(g.*) IS NULL) THEN NULL::text
            WHEN (((g.requests_per_minute)::double precision / (60)::double precision) <= contentq.gate_pace(g.*)) THEN 'set'::text
            ELSE 'learned'::text
        END AS pace_is,
    g.tokens_per_minute,
    COALESCE(e.refused, (0)::bigint) AS refused,
    COALESCE(e.unanswered, (0)::bigint) AS unanswered,
    date_trunc('second'::text, g.closed_at) AS closed_at,
        CASE
            WHEN (length(g.reason) > 60) THEN ("left"(g.reason, 57) || '...'::text)
            ELSE g.reason
        END AS reason
   FROM ((((((( SELECT o.key
           FROM contentq.gates o
        UNION
         SELECT o.gate
           FROM contentq.workers o
          WHERE (o.gate <> ''::text)
        UNION
         SELECT u_1.gate
           FROM (contentq.workers o
             CROSS JOIN LATERAL unnest(o.gates) u_1(gate))) k
     LEFT JOIN contentq.gates g ON ((g.key = k.key)))
     CROSS JOIN ( SELECT contentq.unregistered_running() AS running
         OFFSET 0) u)
     LEFT JOIN LATERAL contentq.gate_state(g.*, clock_timestamp(), u.running) s(room, next_in, why, level, tokens_left, tokens_used) ON ((g.key IS NOT NULL)))
     LEFT JOIN ( SELECT c.gate,
            count(*) AS workers,
            COALESCE(sum(t.running) FILTER (WHERE c.has_all), (0)::numeric) AS running
           FROM (( SELECT o.id,
                    u_1.gate,
                    ((o.gates IS NULL) OR (u_1.gate = '*'::text)) AS has_all
                   FROM (contentq.workers o
                     CROSS JOIN LATERAL unnest(
                        CASE
                            WHEN (o.gate = '*'::text) THEN ARRAY['*'::text]
                            WHEN (o.gates IS NULL) THEN ARRAY[o.gate, '*'::text]
                            ELSE (o.gates || '*'::text)
                        END) u_1(gate))) c
             LEFT JOIN ( SELECT r.worker_id,
                    count(*) AS running
                   FROM public.content_generation_tasks r
                  WHERE (((r.status)::text = 'processing'::text) AND (r.worker_id IS NOT NULL))
                  GROUP BY r.worker_id) t ON ((t.worker_id = c.id)))
          GROUP BY c.gate) w ON ((w.gate = k.key)))
     LEFT JOIN ( SELECT r.gate,
            count(*) AS running
           FROM public.content_generation_tasks r
          WHERE ((((r.status)::text || ''::text) = 'processing'::text) AND (r.gate IS NOT NULL))
          GROUP BY r.gate) i ON ((i.gate = k.key)))
     LEFT JOIN ( SELECT n.key,
            count(*) FILTER (WHERE (n.kind <> 'unanswered'::text)) AS refused,
            count(*) FILTER (WHERE (n.kind = 'unanswered'::text)) AS unanswered
           FROM contentq.gate_events n
          WHERE (n.at > (clock_timestamp() - '00:01:00'::interval))
          GROUP BY n.key) e ON ((e.key = k.key)))
  ORDER BY (g.opens_at > clock_timestamp()) DESC NULLS LAST, (s.room < 1) DESC NULLS LAST, k.key;

-- Name: VIEW gate_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.gate_status IS 'Gates, closed ones first: opens_at (may be infinity), their workers and running tasks, how many tasks may run at once, the pace in tasks per second, whether each was set or learned, calls that were refused or not answered in the last minute, and when and why the gate was last closed.';

-- Name: latency; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.latency WITH (security_invoker='true') AS
 SELECT p.period,
    k.by,
    l.key,
    l.tasks,
    l.wait_p50,
    l.wait_p95,
    l.wait_p99,
    l.run_p50,
    l.run_p95,
    l.run_p99,
    l.since
   FROM ((( VALUES (1,'5 minutes'::text,'00:05:00'::interval), (2,'hour'::text,'01:00:00'::interval), (3,'day'::text,'1 day'::interval)) p(place, period, length)
     CROSS JOIN ( VALUES (1,'all'::text,NULL::text), (2,'account'::text,'account'::text), (3,'category'::text,'category'::text), (4,'priority'::text,'priority'::text)) k(place, by, argument))
     CROSS JOIN LATERAL contentq.latency(p.length, k.argument) l(key, tasks, wait_p50, wait_p95, wait_p99, run_p50, run_p95, run_p99, since))
  ORDER BY p.place, k.place, l.tasks DESC, l.key;

-- Name: VIEW latency; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.latency IS 'Percentiles, in seconds, of how long completed tasks waited after becoming ready, and of how long they ran: for the last 5 minutes, hour and day, for all and by account, category and priority.';

-- Name: maintenance; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.maintenance (
    only_row boolean DEFAULT true NOT NULL,
    ran_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    watched_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    cleaned_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    budgets_due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT maintenance_only_row_check CHECK (only_row)
)
WITH (fillfactor='50');

-- Name: TABLE maintenance; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.maintenance IS 'When maintain() last did its work: one row.';

-- Name: COLUMN maintenance.only_row; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.only_row IS 'Always true; limits the table to one row.';

-- Name: COLUMN maintenance.ran_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.ran_at IS 'The last call of maintain() that did its work.';

-- Name: COLUMN maintenance.watched_since; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.watched_since IS 'Start of the latest series of calls without a gap; a worker counts as silent only within this time.';

-- Name: COLUMN maintenance.cleaned_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.cleaned_at IS 'When the clean-up last found nothing more to delete.';

-- Name: COLUMN maintenance.budgets_due_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.budgets_due_at IS 'When budgets are checked next; the interval limits the checks to a fiftieth of the time.';

-- Name: needed_indexes; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.needed_indexes (
    table_name text NOT NULL,
    name text NOT NULL,
    definition text NOT NULL,
    first_column text
);

-- Name: TABLE needed_indexes; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.needed_indexes IS 'The indexes that contentq needs on the three tables; doctor() reports missing ones.';

-- Name: COLUMN needed_indexes.table_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.needed_indexes.table_name IS 'accounts, contents or content_generation_tasks.';

-- Name: COLUMN needed_indexes.name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.needed_indexes.name IS 'The name of the index.';

-- Name: COLUMN needed_indexes.definition; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.needed_indexes.definition IS 'Its columns and condition, in the syntax of CREATE INDEX.';

-- Name: COLUMN needed_indexes.first_column; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.needed_indexes.first_column IS 'In a table that existed before contentq, another index that begins with this column and covers all rows also counts.';

-- Name: paused_accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.paused_accounts WITH (security_invoker='true') AS
 SELECT account_id,
        CASE
            WHEN (length((name)::text) > 30) THEN (("left"((name)::text, 27) || '...'::text))::character varying
            ELSE name
        END AS name,
    concat_ws(', '::text,
        CASE
            WHEN (paused_until IS NOT NULL) THEN 'paused'::text
            ELSE NULL::text
        END,
        CASE
            WHEN (over_budget_until IS NOT NULL) THEN 'budget used up'::text
            ELSE NULL::text
        END,
        CASE
            WHEN is_at_cap THEN format('at its cap (%s of %s)'::text, running, max_running)
            ELSE NULL::text
        END) AS why,
    date_trunc('second'::text, GREATEST(paused_until, over_budget_until)) AS until,
    pending
   FROM ( SELECT (a.id)::bigint AS account_id,
            a.name,
            b.paused_until,
            b.over_budget_until,
            a.max_running,
            r.running,
            COALESCE((r.running >= a.max_running), false) AS is_at_cap,
            w.pending
           FROM (((public.accounts a
             LEFT JOIN contentq.blocked_accounts b ON ((b.account_id = a.id)))
             CROSS JOIN LATERAL ( SELECT count(*) AS running
                   FROM public.content_generation_tasks t
                  WHERE ((t.account_id = a.id) AND ((t.status)::text = 'processing'::text))) r)
             CROSS JOIN LATERAL ( SELECT count(*) AS pending
                   FROM public.content_generation_tasks t
                  WHERE ((t.account_id = a.id) AND ((t.status)::text = 'pending'::text))) w)
          WHERE ((b.account_id IS NOT NULL) OR (a.max_running IS NOT NULL))) h
  WHERE ((paused_until IS NOT NULL) OR (over_budget_until IS NOT NULL) OR (is_at_cap AND (pending > 0)))
  ORDER BY pending DESC, account_id;

-- Name: VIEW paused_accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.paused_accounts IS 'Accounts whose tasks are not claimed now because they are paused, have used up a budget, or are at their cap (max_running): why, until when (infinity: until someone resumes them), and how many tasks are pending.';

-- Name: provider_batch_status; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.provider_batch_status WITH (security_invoker='true') AS
 SELECT b.provider_id AS batch,
    b.status,
    b.model,
    b.requests,
    b.completed,
    b.failed,
        CASE
            WHEN (b.ended_at IS NULL) THEN waiting.tasks
            ELSE (0)::bigint
        END AS tasks_waiting,
    date_trunc('second'::text, (COALESCE(b.ended_at, clock_timestamp()) - b.opened_at)) AS age,
        CASE
            WHEN (b.ended_at IS NULL) THEN date_trunc('second'::text, (b.expires_at - clock_timestamp()))
            ELSE NULL::interval
        END AS expires_in,
    b.provider,
    b.error
   FROM (contentq.provider_batches b
     CROSS JOIN LATERAL ( SELECT count(*) AS tasks
           FROM contentq.batch_requests r
          WHERE ((r.batch_id = b.id) AND (r.answered_at IS NULL))) waiting)
  WHERE ((b.ended_at IS NULL) OR (b.ended_at > (clock_timestamp() - '1 day'::interval)))
UNION ALL
 SELECT NULL::text AS batch,
    'gathering'::text AS status,
    r.model,
    count(*) AS requests,
    0 AS completed,
    0 AS failed,
    count(*) AS tasks_waiting,
    date_trunc('second'::text, (clock_timestamp() - min(r.asked_at))) AS age,
    NULL::interval AS expires_in,
    r.provider,
    NULL::text AS error
   FROM contentq.batch_requests r
  WHERE ((r.batch_id IS NULL) AND (r.answered_at IS NULL))
  GROUP BY r.provider, r.model
  ORDER BY 8;

-- Name: VIEW provider_batch_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.provider_batch_status IS 'Batches at providers, the newest first: status as the provider reports it (gathering and opening: before it is sent), requests and how many of them are done, tasks that wait for it, its age, and its latest error.';

-- Name: provider_batches_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.provider_batches ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.provider_batches_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: queue_overview; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.queue_overview WITH (security_invoker='true') AS
 SELECT s.status,
    count(t.id) AS tasks,
    count(t.id) FILTER (WHERE (((t.status)::text = 'pending'::text) AND (t.scheduled_at > clock_timestamp()))) AS scheduled,
    count(t.id) FILTER (WHERE (t.retry_count > 0)) AS retried,
    date_trunc('second'::text, (clock_timestamp() - min(t.submitted_at))) AS oldest_age
   FROM (( VALUES (1,'pending'::text), (2,'processing'::text), (3,'completed'::text), (4,'failed'::text), (5,'timeout'::text)) s("position", status)
     LEFT JOIN public.content_generation_tasks t ON (((t.status)::text = s.status)))
  GROUP BY s."position", s.status
  ORDER BY s."position";

-- Name: VIEW queue_overview; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.queue_overview IS 'One row for each status: tasks, how many of them are scheduled for later, how many were retried, age of the oldest.';

-- Name: recent_failures; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.recent_failures WITH (security_invoker='true') AS
 SELECT id,
    task_id,
    account_id,
    status,
    attempt AS attempts,
    date_trunc('second'::text, updated_at) AS ended_at,
        CASE
            WHEN (length(error_message) > 60) THEN ("left"(error_message, 57) || '...'::text)
            ELSE error_message
        END AS error
   FROM public.content_generation_tasks t
  WHERE ((status)::text = ANY ('{failed,timeout}'::text[]))
  ORDER BY updated_at DESC, id DESC;

-- Name: VIEW recent_failures; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.recent_failures IS 'Tasks that ended failed or timeout, latest first. To requeue one: SELECT contentq.requeue(task_id).';

-- Name: rescued_tasks; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.rescued_tasks WITH (security_invoker='true') AS
 SELECT d.found_at,
    d.worker_id,
    d.hostname,
    d.pid,
    d.heartbeat_at,
    (NOT d.draining) AS is_charged,
    r.id,
    r.attempt,
    t.task_id,
    t.status
   FROM ((contentq.dead_workers d
     CROSS JOIN LATERAL UNNEST(d.ids, d.attempts) r(id, attempt))
     LEFT JOIN public.content_generation_tasks t ON ((t.id = r.id)))
  ORDER BY d.found_at DESC, d.id DESC, r.id;

-- Name: VIEW rescued_tasks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.rescued_tasks IS 'Tasks that were rescued from dead workers, latest first: when, from which worker, whether a retry was charged (not if the worker was draining), and the status of the task now.';

-- Name: review_queue; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.review_queue WITH (security_invoker='true') AS
 SELECT c.id AS content_id,
    t.task_id,
    c.account_id,
    ( SELECT a.name
           FROM public.accounts a
          WHERE (a.id = c.account_id)) AS account,
    c.title,
    c.word_count,
    t.attempt,
    c.created_at AS waiting_since,
    t.category,
    t.batch,
    t.submitted_at,
    c.review_note AS failed_checks,
    ( SELECT v.review_note
           FROM public.contents v
          WHERE ((v.generation_task_id = c.generation_task_id) AND ((v.id + 0) < c.id))
          ORDER BY (v.id + 0) DESC
         LIMIT 1) AS previous_note
   FROM (public.contents c
     LEFT JOIN LATERAL ( SELECT o.task_id,
            o.attempt,
            o.category,
            o.batch,
            o.submitted_at
           FROM public.content_generation_tasks o
          WHERE ((o.id = contentq.task_of_content((c.id)::bigint, c.generation_task_id, (c.account_id)::bigint)) AND ((o.account_id + 0) = c.account_id))
         LIMIT 1) t ON (true))
  WHERE ((c.review_status)::text = 'pending'::text)
  ORDER BY (c.id + 0);

-- Name: VIEW review_queue; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.review_queue IS 'Content that waits for review, oldest first, with its task. failed_checks: the checks that this draft failed. previous_note: why the previous version was sent back. Decide with contentq.approve() and contentq.reject().';

-- Name: running_tasks; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.running_tasks WITH (security_invoker='true') AS
 SELECT t.id,
    t.task_id,
    t.account_id,
    t.priority,
    t.attempt,
    date_trunc('second'::text, (clock_timestamp() - t.started_at)) AS running,
        CASE
            WHEN isfinite(t.timeout_at) THEN date_trunc('second'::text, (t.timeout_at - clock_timestamp()))
            ELSE NULL::interval
        END AS time_left,
    t.worker_id,
    w.hostname,
        CASE
            WHEN (length((t.topic)::text) > 40) THEN (("left"((t.topic)::text, 37) || '...'::text))::character varying
            ELSE t.topic
        END AS topic,
    round(((t.progress * (100)::double precision))::numeric) AS percent,
        CASE
            WHEN (length(t.progress_note) > 40) THEN ("left"(t.progress_note, 37) || '...'::text)
            ELSE t.progress_note
        END AS note
   FROM (public.content_generation_tasks t
     LEFT JOIN contentq.workers w ON ((w.id = t.worker_id)))
  WHERE ((t.status)::text = 'processing'::text)
  ORDER BY t.started_at, t.id;

-- Name: VIEW running_tasks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.running_tasks IS 'Processing tasks, longest first, with their worker (NULL if set to processing by hand) and the progress that their handlers report.';

-- Name: silent_commits; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.silent_commits (
    place integer NOT NULL
);

-- Name: TABLE silent_commits; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.silent_commits IS 'Rows locked by transactions that commit tasks without a notification of their own; the locks show claims that more tasks are about to become visible.';

-- Name: COLUMN silent_commits.place; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.silent_commits.place IS 'The process id of the session, modulo 64.';

-- Name: tables; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.tables (
    table_name text NOT NULL,
    schema_name text NOT NULL,
    is_created boolean NOT NULL,
    added text[] NOT NULL
);

-- Name: TABLE tables; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.tables IS 'The schemas of accounts, contents and content_generation_tasks, and what contentq created in them; a downgrade drops only that.';

-- Name: COLUMN tables.table_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.table_name IS 'accounts, contents or content_generation_tasks.';

-- Name: COLUMN tables.schema_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.schema_name IS 'The schema of the table.';

-- Name: COLUMN tables.is_created; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.is_created IS 'Whether contentq created the table; false: it existed before.';

-- Name: COLUMN tables.added; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.added IS 'Statements that remove what contentq added to a table that existed before; for any table, statements that remove its row level security.';

-- Name: tasks; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.tasks WITH (security_invoker='true') AS
 SELECT id,
    task_id,
    content_id,
    account_id,
    topic,
    keywords,
    category,
    requirements,
    tone,
    status,
    priority,
    retry_count,
    max_retries,
    submitted_at,
    started_at,
    completed_at,
    timeout_at,
    result,
    error_message,
    auto_approve,
    created_at,
    updated_at,
    scheduled_at,
    attempt,
    worker_id,
    cancel_requested_at,
    attempt_errors,
    progress,
    progress_note,
    gate,
    gate_entered_at,
    handler_state,
    revision_count,
    revision_note,
    batch,
    traceparent,
    ready_at
   FROM public.content_generation_tasks t;

-- Name: VIEW tasks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.tasks IS 'Table content_generation_tasks, regardless of its schema. Read and write it like the table.';

-- Name: throughput; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.throughput WITH (security_invoker='true') AS
 SELECT date_trunc('minute'::text, completed_at) AS minute,
    count(*) AS completed,
    round(((count(*))::numeric / 60.0), 1) AS per_second,
    round(avg((EXTRACT(epoch FROM started_at) - EXTRACT(epoch FROM COALESCE(ready_at, submitted_at)))), 2) AS wait_s,
    round(avg((EXTRACT(epoch FROM completed_at) - EXTRACT(epoch FROM started_at))), 2) AS run_s
   FROM public.content_generation_tasks t
  WHERE (((status)::text = 'completed'::text) AND (completed_at > (clock_timestamp() - '01:00:00'::interval)) AND (completed_at <= clock_timestamp()))
  GROUP BY (date_trunc('minute'::text, completed_at))
  ORDER BY (date_trunc('minute'::text, completed_at)) DESC;

-- Name: VIEW throughput; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.throughput IS 'Completed tasks by minute over the last hour, with the mean seconds that they waited for their latest attempt since they were ready (wait_s), and that it ran (run_s).';

-- Name: usage; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.usage (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    day date NOT NULL,
    model text NOT NULL,
    category text DEFAULT ''::text NOT NULL,
    attempts bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    largest_cost numeric DEFAULT 0 NOT NULL,
    CONSTRAINT usage_attempts_check CHECK ((attempts > 0)),
    CONSTRAINT usage_completion_tokens_check CHECK ((completion_tokens >= 0)),
    CONSTRAINT usage_cost_check CHECK (((cost >= (0)::numeric) AND (cost < 'Infinity'::numeric))),
    CONSTRAINT usage_day_check CHECK (isfinite(day)),
    CONSTRAINT usage_largest_cost_check CHECK (((largest_cost >= (0)::numeric) AND (largest_cost < 'Infinity'::numeric))),
    CONSTRAINT usage_prompt_tokens_check CHECK ((prompt_tokens >= 0))
)
WITH (fillfactor='50');

-- Name: TABLE usage; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.usage IS 'Cost of attempts, by account, day, model and category. Sum the rows: there may be several for each, so that no report waits for another. Rows outlive the tasks.';

-- Name: COLUMN usage.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.id IS 'Identifier of the row.';

-- Name: COLUMN usage.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.account_id IS 'The account of the tasks.';

-- Name: COLUMN usage.day; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.day IS 'The day (UTC) of the report.';

-- Name: COLUMN usage.model; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.model IS 'The model, as the handler reported it; unknown if it did not.';

-- Name: COLUMN usage.category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.category IS 'The category of the tasks, up to 200 characters; empty for none.';

-- Name: COLUMN usage.attempts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.attempts IS 'Number of attempts with usage, including failed ones, and of completed ones that count against a budget.';

-- Name: COLUMN usage.prompt_tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.prompt_tokens IS 'Number of input tokens.';

-- Name: COLUMN usage.completion_tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.completion_tokens IS 'Number of output tokens.';

-- Name: COLUMN usage.cost; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.cost IS 'Cost in the currency of the handler''s prices.';

-- Name: COLUMN usage.largest_cost; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.largest_cost IS 'Largest cost of one of these attempts; if costs vary, budgets reserve it for a running task.';

-- Name: usage_by_account; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.usage_by_account WITH (security_invoker='true') AS
 SELECT a.id AS account_id,
        CASE
            WHEN (length((a.name)::text) > 30) THEN (("left"((a.name)::text, 27) || '...'::text))::character varying
            ELSE a.name
        END AS name,
    COALESCE(u.attempts, (0)::numeric) AS attempts,
    COALESCE(u.prompt_tokens, (0)::numeric) AS prompt_tokens,
    COALESCE(u.completion_tokens, (0)::numeric) AS completion_tokens,
    round(COALESCE(u.cost, (0)::numeric), 6) AS cost,
    a.monthly_budget,
    round((((100)::numeric * COALESCE(u.cost, (0)::numeric)) / NULLIF(a.monthly_budget, (0)::numeric)), 1) AS used_percent,
    ((COALESCE(u.cost, (0)::numeric) >= a.monthly_budget) IS TRUE) AS used_up
   FROM (public.accounts a
     LEFT JOIN ( SELECT e.account_id,
            sum(e.attempts) AS attempts,
            sum(e.prompt_tokens) AS prompt_tokens,
            sum(e.completion_tokens) AS completion_tokens,
            sum(e.cost) AS cost
           FROM contentq.usage e
          WHERE (e.day >= (date_trunc('month'::text, (clock_timestamp() AT TIME ZONE 'UTC'::text)))::date)
          GROUP BY e.account_id) u ON ((u.account_id = a.id)))
  WHERE ((u.account_id IS NOT NULL) OR (a.monthly_budget IS NOT NULL))
  ORDER BY (round(COALESCE(u.cost, (0)::numeric), 6)) DESC, a.id;

-- Name: VIEW usage_by_account; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.usage_by_account IS 'By account, since the first of this month (UTC): attempts with usage, tokens, cost, monthly budget, and whether it is used up, so that no more tasks are claimed.';

-- Name: usage_by_category; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.usage_by_category WITH (security_invoker='true') AS
 SELECT NULLIF(category, ''::text) AS category,
    sum(attempts) AS attempts,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    round(sum(cost), 6) AS cost,
    round((sum(cost) / sum(attempts)), 6) AS cost_each
   FROM contentq.usage u
  WHERE (day >= (date_trunc('month'::text, (clock_timestamp() AT TIME ZONE 'UTC'::text)))::date)
  GROUP BY category
  ORDER BY (round(sum(cost), 6)) DESC, u.category;

-- Name: VIEW usage_by_category; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.usage_by_category IS 'By category, since the first of this month (UTC): attempts with usage, tokens, cost.';

-- Name: usage_by_day; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.usage_by_day WITH (security_invoker='true') AS
 SELECT day,
    sum(attempts) AS attempts,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    round(sum(cost), 6) AS cost,
    count(DISTINCT account_id) AS accounts
   FROM contentq.usage u
  WHERE (day > (((clock_timestamp() AT TIME ZONE 'UTC'::text))::date - 31))
  GROUP BY day
  ORDER BY day DESC;

-- Name: VIEW usage_by_day; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.usage_by_day IS 'By day (UTC), the last 31: attempts with usage, tokens, cost, accounts.';

-- Name: usage_by_model; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.usage_by_model WITH (security_invoker='true') AS
 SELECT model,
    sum(attempts) AS attempts,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    round(sum(cost), 6) AS cost,
    round((sum(cost) / sum(attempts)), 6) AS cost_each
   FROM contentq.usage u
  WHERE (day >= (date_trunc('month'::text, (clock_timestamp() AT TIME ZONE 'UTC'::text)))::date)
  GROUP BY model
  ORDER BY (round(sum(cost), 6)) DESC, model;

-- Name: VIEW usage_by_model; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.usage_by_model IS 'By model, since the first of this month (UTC): attempts with usage, tokens, cost.';

-- Name: usage_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.usage ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.usage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: wakeups; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.wakeups (
    slot integer NOT NULL
);

-- Name: TABLE wakeups; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.wakeups IS 'A row for each twentieth of a second, used in rotation: of the transactions that submit tasks and commit at the same time, the one that has locked the row notifies the workers for all.';

-- Name: COLUMN wakeups.slot; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.wakeups.slot IS 'Twentieths of a second since 1970, modulo 1000.';

-- Name: worker_status; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.worker_status WITH (security_invoker='true') AS
 SELECT w.id,
    w.hostname,
    w.pid,
        CASE
            WHEN (w.heartbeat_at < (clock_timestamp() - s.heartbeat_timeout)) THEN 'silent'::text
            WHEN w.draining THEN 'draining'::text
            WHEN (held.busy >= w.slots) THEN 'full'::text
            WHEN (waiting.why IS NOT NULL) THEN 'waits'::text
            WHEN (held.busy > 0) THEN 'working'::text
            ELSE 'idle'::text
        END AS state,
    COALESCE(held.busy, 0) AS busy,
    w.slots,
    round(EXTRACT(epoch FROM (clock_timestamp() - w.heartbeat_at)), 1) AS heartbeat_age_s,
    date_trunc('second'::text, (clock_timestamp() - w.started_at)) AS up,
        CASE
            WHEN (length(w.handler) > 30) THEN ("left"(w.handler, 27) || '...'::text)
            ELSE w.handler
        END AS handler,
    w.version,
    COALESCE(w.gate, array_to_string(w.gates, ', '::text)) AS gate,
    w.categories,
        CASE
            WHEN (NOT w.draining) THEN waiting.why
            ELSE NULL::text
        END AS waits_for,
    COALESCE(held.locked, 0) AS locked
   FROM (((contentq.workers w
     CROSS JOIN contentq.settings s)
     LEFT JOIN ( SELECT t.worker_id,
            (count(*))::integer AS busy,
            (count(l.transactionid))::integer AS locked
           FROM (public.content_generation_tasks t
             LEFT JOIN ( SELECT DISTINCT o.transactionid
                   FROM pg_locks o
                  WHERE ((o.locktype = 'transactionid'::text) AND o.granted)) l ON ((l.transactionid = t.xmax)))
          WHERE (((t.status)::text = 'processing'::text) AND (t.worker_id IS NOT NULL))
          GROUP BY t.worker_id) held ON ((held.worker_id = w.id)))
     LEFT JOIN contentq.workers_wait() waiting(worker_id, why) ON ((waiting.worker_id = w.id)))
  ORDER BY w.started_at, w.id;

-- Name: VIEW worker_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.worker_status IS 'Registered workers. state: idle, working, waits, full, draining or silent (no recent heartbeat). busy: tasks held, of slots. heartbeat_age_s: seconds since the last heartbeat. categories: those that it claims, NULL for all. waits_for: why it may not start a task. locked: its tasks whose rows another session has locked, so that they cannot be reported.';

-- Name: accounts_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: content_generation_tasks_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.content_generation_tasks ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.content_generation_tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: contents_id_seq; Type: SEQUENCE; Schema: public; Owner: -

ALTER TABLE public.contents ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.contents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: account_roles account_roles_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.account_roles
    ADD CONSTRAINT account_roles_pkey PRIMARY KEY (role_name, account_id);

-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

-- Name: awaited awaited_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.awaited
    ADD CONSTRAINT awaited_pkey PRIMARY KEY (id);

-- Name: batch_requests batch_requests_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.batch_requests
    ADD CONSTRAINT batch_requests_pkey PRIMARY KEY (id, attempt);

-- Name: budget_events budget_events_account_id_category_period_key; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.budget_events
    ADD CONSTRAINT budget_events_account_id_category_period_key UNIQUE NULLS NOT DISTINCT (account_id, category, period);

-- Name: budget_events budget_events_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.budget_events
    ADD CONSTRAINT budget_events_pkey PRIMARY KEY (id);

-- Name: budgets budgets_account_id_category_period_key; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.budgets
    ADD CONSTRAINT budgets_account_id_category_period_key UNIQUE NULLS NOT DISTINCT (account_id, category, period);

-- Name: budgets budgets_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (id);

-- Name: cap_locks cap_locks_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.cap_locks
    ADD CONSTRAINT cap_locks_pkey PRIMARY KEY (place);

-- Name: claimers claimers_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.claimers
    ADD CONSTRAINT claimers_pkey PRIMARY KEY (worker_id);

-- Name: dead_workers dead_workers_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.dead_workers
    ADD CONSTRAINT dead_workers_pkey PRIMARY KEY (id);

-- Name: definitions definitions_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.definitions
    ADD CONSTRAINT definitions_pkey PRIMARY KEY (kind, name);

-- Name: durations durations_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.durations
    ADD CONSTRAINT durations_pkey PRIMARY KEY (category);

-- Name: failure_counts failure_counts_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.failure_counts
    ADD CONSTRAINT failure_counts_pkey PRIMARY KEY (id);

-- Name: gate_counts gate_counts_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.gate_counts
    ADD CONSTRAINT gate_counts_pkey PRIMARY KEY (id);

-- Name: gate_events gate_events_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.gate_events
    ADD CONSTRAINT gate_events_pkey PRIMARY KEY (id);

-- Name: gates gates_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.gates
    ADD CONSTRAINT gates_pkey PRIMARY KEY (key);

-- Name: maintenance maintenance_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.maintenance
    ADD CONSTRAINT maintenance_pkey PRIMARY KEY (only_row);

-- Name: needed_indexes needed_indexes_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.needed_indexes
    ADD CONSTRAINT needed_indexes_pkey PRIMARY KEY (name);

-- Name: provider_batches provider_batches_key_key; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.provider_batches
    ADD CONSTRAINT provider_batches_key_key UNIQUE (key);

-- Name: provider_batches provider_batches_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.provider_batches
    ADD CONSTRAINT provider_batches_pkey PRIMARY KEY (id);

-- Name: settings settings_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (only_row);

-- Name: silent_commits silent_commits_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.silent_commits
    ADD CONSTRAINT silent_commits_pkey PRIMARY KEY (place);

-- Name: tables tables_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.tables
    ADD CONSTRAINT tables_pkey PRIMARY KEY (table_name);

-- Name: usage usage_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (id);

-- Name: wakeups wakeups_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.wakeups
    ADD CONSTRAINT wakeups_pkey PRIMARY KEY (slot);

-- Name: workers workers_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

-- Name: accounts accounts_external_id_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_external_id_key UNIQUE (external_id);

-- Name: accounts accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

-- Name: CONSTRAINT accounts_pkey ON accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON CONSTRAINT accounts_pkey ON public.accounts IS 'The table was created by contentq migrate.';

-- Name: content_generation_tasks content_generation_tasks_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_pkey PRIMARY KEY (id);

-- Name: CONSTRAINT content_generation_tasks_pkey ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON CONSTRAINT content_generation_tasks_pkey ON public.content_generation_tasks IS 'The table was created by contentq migrate.';

-- Name: content_generation_tasks content_generation_tasks_task_id_key; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_task_id_key UNIQUE (task_id);

-- Name: contents contents_pkey; Type: CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.contents
    ADD CONSTRAINT contents_pkey PRIMARY KEY (id);

-- Name: CONSTRAINT contents_pkey ON contents; Type: COMMENT; Schema: public; Owner: -

COMMENT ON CONSTRAINT contents_pkey ON public.contents IS 'The table was created by contentq migrate.';

-- Name: awaited_name_kind_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX awaited_name_kind_idx ON contentq.awaited USING btree (name, kind);

-- Name: batch_requests_account_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX batch_requests_account_id_idx ON contentq.batch_requests USING btree (account_id, category) WHERE (NOT is_taken);

-- Name: batch_requests_answered_at_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX batch_requests_answered_at_idx ON contentq.batch_requests USING btree (answered_at) WHERE (answered_at IS NOT NULL);

-- Name: batch_requests_batch_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX batch_requests_batch_id_idx ON contentq.batch_requests USING btree (batch_id, id, attempt) WHERE (batch_id IS NOT NULL);

-- Name: batch_requests_waiting_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX batch_requests_waiting_idx ON contentq.batch_requests USING btree (provider, login, due_at, id, attempt) WHERE ((batch_id IS NULL) AND (answered_at IS NULL));

-- Name: dead_workers_found_at_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX dead_workers_found_at_idx ON contentq.dead_workers USING btree (found_at);

-- Name: failure_counts_error_class_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX failure_counts_error_class_idx ON contentq.failure_counts USING btree (error_class);

-- Name: gate_counts_gate_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX gate_counts_gate_idx ON contentq.gate_counts USING btree (gate, worker_id);

-- Name: gate_counts_worker_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX gate_counts_worker_id_idx ON contentq.gate_counts USING btree (worker_id);

-- Name: gate_events_key_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX gate_events_key_id_idx ON contentq.gate_events USING btree (key, id);

-- Name: provider_batches_due_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX provider_batches_due_idx ON contentq.provider_batches USING btree (provider, login, due_at) WHERE (ended_at IS NULL);

-- Name: provider_batches_ended_at_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX provider_batches_ended_at_idx ON contentq.provider_batches USING btree (ended_at) WHERE (ended_at IS NOT NULL);

-- Name: usage_account_id_day_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX usage_account_id_day_idx ON contentq.usage USING btree (account_id, day, model, category);

-- Name: usage_category_day_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX usage_category_day_idx ON contentq.usage USING btree (category, day);

-- Name: usage_day_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX usage_day_idx ON contentq.usage USING btree (day);

-- Name: workers_gate_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX workers_gate_idx ON contentq.workers USING hash (gate);

-- Name: accounts_max_running_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX accounts_max_running_idx ON public.accounts USING btree (max_running) WHERE (max_running IS NOT NULL);

-- Name: accounts_monthly_budget_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX accounts_monthly_budget_idx ON public.accounts USING btree (monthly_budget) WHERE (monthly_budget IS NOT NULL);

-- Name: accounts_paused_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX accounts_paused_idx ON public.accounts USING btree (paused_until) WHERE (paused_until IS NOT NULL);

-- Name: content_generation_tasks_account_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_account_id_idx ON public.content_generation_tasks USING btree (account_id);

-- Name: content_generation_tasks_batch_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_batch_idx ON public.content_generation_tasks USING btree (batch, status, account_id) WHERE (batch IS NOT NULL);

-- Name: content_generation_tasks_completed_at_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_completed_at_idx ON public.content_generation_tasks USING btree (completed_at) WHERE ((status)::text = 'completed'::text);

-- Name: content_generation_tasks_content_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_content_id_idx ON public.content_generation_tasks USING btree (content_id) WHERE (content_id IS NOT NULL);

-- Name: content_generation_tasks_deadline_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_deadline_idx ON public.content_generation_tasks USING btree (timeout_at) WHERE ((timeout_at IS NOT NULL) AND ((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying])::text[])));

-- Name: content_generation_tasks_failed_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_failed_idx ON public.content_generation_tasks USING btree (id) WHERE ((status)::text = ANY ((ARRAY['failed'::character varying, 'timeout'::character varying])::text[]));

-- Name: content_generation_tasks_gate_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_gate_idx ON public.content_generation_tasks USING btree (gate) WHERE ((((status)::text || ''::text) = 'processing'::text) AND (gate IS NOT NULL));

-- Name: content_generation_tasks_held_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_held_idx ON public.content_generation_tasks USING btree (worker_id) WHERE (((status)::text = 'processing'::text) AND (worker_id IS NOT NULL));

-- Name: content_generation_tasks_ready_account_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_ready_account_idx ON public.content_generation_tasks USING btree (((10 - priority)), account_id, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NULL));

-- Name: content_generation_tasks_ready_category_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_ready_category_idx ON public.content_generation_tasks USING btree (((10 - priority)), category, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NULL));

-- Name: content_generation_tasks_ready_deadline_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_ready_deadline_idx ON public.content_generation_tasks USING btree (((10 - priority)), timeout_at, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NULL) AND (timeout_at IS NOT NULL));

-- Name: content_generation_tasks_ready_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_ready_idx ON public.content_generation_tasks USING btree (priority DESC, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NULL));

-- Name: content_generation_tasks_retrying_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_retrying_idx ON public.content_generation_tasks USING btree (id) WHERE (((status)::text = 'pending'::text) AND (retry_count > 0));

-- Name: content_generation_tasks_revoked_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_revoked_idx ON public.content_generation_tasks USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (((status)::text <> 'processing'::text) OR (cancel_requested_at IS NOT NULL)));

-- Name: content_generation_tasks_running_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_running_idx ON public.content_generation_tasks USING btree (account_id, started_at) WHERE (((status)::text COLLATE "C") = 'processing'::text);

-- Name: content_generation_tasks_scheduled_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_scheduled_idx ON public.content_generation_tasks USING btree (scheduled_at, priority DESC, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NOT NULL));

-- Name: content_generation_tasks_status_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_status_idx ON public.content_generation_tasks USING btree (status);

-- Name: content_generation_tasks_submitted_at_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_submitted_at_idx ON public.content_generation_tasks USING btree (submitted_at);

-- Name: contents_account_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX contents_account_id_idx ON public.contents USING btree (account_id, ((id + 0)));

-- Name: contents_generation_task_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX contents_generation_task_id_idx ON public.contents USING btree (generation_task_id) WHERE (generation_task_id IS NOT NULL);

-- Name: contents_review_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX contents_review_idx ON public.contents USING btree (((id + 0))) WHERE ((review_status)::text = 'pending'::text);

-- Name: content_generation_tasks content_generation_tasks_awaited; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_awaited BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN ((((new.status)::text <> 'pending'::text) AND ((new.status)::text <> 'processing'::text) AND (((old.status)::text = 'pending'::text) OR ((old.status)::text = 'processing'::text)) AND (COALESCE(current_setting('contentq.waiters'::text, true), ''::text) = ''::text))) EXECUTE FUNCTION contentq.note_waiters();

-- Name: TRIGGER content_generation_tasks_awaited ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_awaited ON public.content_generation_tasks IS 'Checks, once in a transaction that ends tasks, whether any session waits for the end of a task.';

-- Name: content_generation_tasks content_generation_tasks_awaited_deleted; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_awaited_deleted BEFORE DELETE ON public.content_generation_tasks FOR EACH ROW WHEN (((((old.status)::text = 'pending'::text) OR ((old.status)::text = 'processing'::text)) AND (COALESCE(current_setting('contentq.waiters'::text, true), ''::text) = ''::text))) EXECUTE FUNCTION contentq.note_waiters();

-- Name: TRIGGER content_generation_tasks_awaited_deleted ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_awaited_deleted ON public.content_generation_tasks IS 'The same for transactions that delete tasks before they have ended.';

-- Name: content_generation_tasks content_generation_tasks_deleted; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_deleted AFTER DELETE ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((old.status)::text = 'pending'::text) OR ((old.status)::text = 'processing'::text)) AND (current_setting('contentq.waiters'::text, true) = 'some'::text))) EXECUTE FUNCTION contentq.tell_waiters();

-- Name: TRIGGER content_generation_tasks_deleted ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_deleted ON public.content_generation_tasks IS 'The same for tasks that are deleted before they have ended.';

-- Name: content_generation_tasks content_generation_tasks_ended; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_ended AFTER UPDATE ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((new.status)::text <> 'pending'::text) AND ((new.status)::text <> 'processing'::text) AND (((old.status)::text = 'pending'::text) OR ((old.status)::text = 'processing'::text)) AND (current_setting('contentq.waiters'::text, true) = 'some'::text))) EXECUTE FUNCTION contentq.tell_waiters();

-- Name: TRIGGER content_generation_tasks_ended ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_ended ON public.content_generation_tasks IS 'Notifies sessions that wait for a task, or for its batch, that it has ended, at the commit of the transaction.';

-- Name: content_generation_tasks content_generation_tasks_forged; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_forged BEFORE INSERT ON public.content_generation_tasks FOR EACH ROW WHEN ((NOT has_column_privilege(('public.content_generation_tasks'::regclass)::oid, 'status'::text, 'UPDATE'::text))) EXECUTE FUNCTION contentq.refuse_forged_task();

-- Name: TRIGGER content_generation_tasks_forged ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_forged ON public.content_generation_tasks IS 'Refuses new tasks with forged state or ids from roles that may insert tasks but not update their status.';

-- Name: content_generation_tasks content_generation_tasks_size; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_size BEFORE INSERT OR UPDATE OF task_id, topic, keywords, category, requirements, tone, error_message, progress_note ON public.content_generation_tasks FOR EACH ROW WHEN ((octet_length(concat(new.task_id, new.topic, new.keywords, new.category, new.requirements, new.tone, new.error_message, new.progress_note)) > 100000)) EXECUTE FUNCTION contentq.refuse_large_text();

-- Name: TRIGGER content_generation_tasks_size ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_size ON public.content_generation_tasks IS 'Refuses texts that are larger than settings.max_text_bytes.';

-- Name: content_generation_tasks content_generation_tasks_stale; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_stale BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN (((new.attempt < old.attempt) OR ((new.attempt = old.attempt) AND (new.worker_id IS DISTINCT FROM old.worker_id) AND (new.worker_id IS NOT NULL)) OR (((old.status)::text = 'completed'::text) AND ((new.status)::text <> 'completed'::text) AND (((new.content_id IS NULL) AND (old.content_id IS NOT NULL)) OR ((new.result IS NULL) AND (old.result IS NOT NULL)))))) EXECUTE FUNCTION contentq.refuse_stale_update();

-- Name: TRIGGER content_generation_tasks_stale ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_stale ON public.content_generation_tasks IS 'Refuses updates that write back a row as it was before it was claimed or completed.';

-- Name: content_generation_tasks content_generation_tasks_state; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_state BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN (((new.handler_state IS NOT NULL) AND ((new.status)::text <> 'pending'::text) AND ((new.status)::text <> 'processing'::text))) EXECUTE FUNCTION contentq.forget_handler_state();

-- Name: TRIGGER content_generation_tasks_state ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_state ON public.content_generation_tasks IS 'Removes the handler_state of a task that has ended, because no attempt will follow.';

-- Name: content_generation_tasks content_generation_tasks_touch; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_touch BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN ((new.updated_at IS DISTINCT FROM CURRENT_TIMESTAMP)) EXECUTE FUNCTION contentq.touch_updated_at();

-- Name: TRIGGER content_generation_tasks_touch ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_touch ON public.content_generation_tasks IS 'Sets updated_at on every update; skipped if the statement itself has set it to CURRENT_TIMESTAMP.';

-- Name: content_generation_tasks content_generation_tasks_wake; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_wake AFTER INSERT ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((new.status)::text = 'pending'::text) AND (current_setting('contentq.has_woken'::text, true) IS DISTINCT FROM 'yes'::text) AND (set_config('contentq.has_woken'::text, 'yes'::text, true) IS NOT NULL))) EXECUTE FUNCTION contentq.wake_workers();

-- Name: TRIGGER content_generation_tasks_wake ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS 'Wakes idle workers once, at the commit of a transaction that inserted tasks.';

-- Name: content_generation_tasks content_generation_tasks_wake_again; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_wake_again AFTER UPDATE ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((new.status)::text = 'pending'::text) AND (((old.status)::text <> 'pending'::text) OR (old.scheduled_at > clock_timestamp())) AND COALESCE((new.scheduled_at <= clock_timestamp()), true) AND (current_setting('contentq.has_woken'::text, true) IS DISTINCT FROM 'yes'::text) AND (set_config('contentq.has_woken'::text, 'yes'::text, true) IS NOT NULL))) EXECUTE FUNCTION contentq.wake_workers();

-- Name: TRIGGER content_generation_tasks_wake_again ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_wake_again ON public.content_generation_tasks IS 'Wakes idle workers once, at the commit of a transaction that made tasks ready.';

-- Name: batch_requests batch_requests_batch_id_fkey; Type: FK CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.batch_requests
    ADD CONSTRAINT batch_requests_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES contentq.provider_batches(id);

-- Name: content_generation_tasks content_generation_tasks_account_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

-- Name: content_generation_tasks content_generation_tasks_content_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_content_id_fkey FOREIGN KEY (content_id) REFERENCES public.contents(id) ON DELETE SET NULL;

-- Name: contents contents_account_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.contents
    ADD CONSTRAINT contents_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
