-- What a migrated database looks like: pg_dump --schema-only of it, made by
-- python -m tests.support.schema_snapshot. A test compares it; nothing runs it.

-- Name: contentq; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA contentq;

-- Name: SCHEMA contentq; Type: COMMENT; Schema: -; Owner: -

COMMENT ON SCHEMA contentq IS 'The machinery of the queue.';

-- Name: account_changed(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.account_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM contentq.account_pauses;
        DELETE FROM contentq.used_up_budgets;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM contentq.block_account(OLD.id);
    END IF;
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
        PERFORM contentq.block_account(NEW.id);
    END IF;
    RETURN NULL;
END;
$$;

-- Name: FUNCTION account_changed(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.account_changed() IS 'Trigger: makes claims leave out accounts that are paused or have used up their budget.';

-- Name: add_usage(bigint[], text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.add_usage(ids bigint[], usages text[]) RETURNS void
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
    all_accounts bigint[];
    all_models text[];
    all_attempts bigint[];
    all_prompt_tokens bigint[];
    all_completion_tokens bigint[];
    all_costs numeric[];
    -- The rows of usage that these are added to; NULL for a new one.
    all_rows bigint[];
    charged_account bigint;
BEGIN
    SELECT array_agg(c.account_id), array_agg(c.model), array_agg(c.attempts), array_agg(c.prompt_tokens),
           array_agg(c.completion_tokens), array_agg(c.cost)
    INTO all_accounts, all_models, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs
    FROM (
        SELECT s.account_id,
               s.model,
               count(*) AS attempts,
               sum(s.prompt_tokens) AS prompt_tokens,
               sum(s.completion_tokens) AS completion_tokens,
               sum(s.cost) AS cost
        FROM (
            SELECT t.account_id + 0 AS account_id,
                   coalesce(nullif(left(r.usage->>'model', 200), ''), 'unknown') AS model,
                   trunc(contentq.usage_amount(r.usage->'prompt_tokens')) AS prompt_tokens,
                   trunc(contentq.usage_amount(r.usage->'completion_tokens')) AS completion_tokens,
                   contentq.usage_amount(r.usage->'cost') AS cost
            FROM (
                SELECT n.id, n.usage::jsonb AS usage
                FROM unnest(add_usage.ids, add_usage.usages) AS n (id, usage)
                WHERE n.usage IS NOT NULL
            ) AS r
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
            WHERE jsonb_typeof(r.usage) = 'object'
        ) AS s
        WHERE s.prompt_tokens > 0 OR s.completion_tokens > 0 OR s.cost > 0
        GROUP BY s.account_id, s.model
    ) AS c;
    IF all_accounts IS NULL THEN
        RETURN;
    END IF;

    SELECT array_agg(f.id ORDER BY f.place)
    INTO all_rows
    FROM (
        SELECT c.place, (
            SELECT u.id
            FROM contentq.usage AS u
            WHERE u.account_id = c.account_id
              AND u.day = today
              AND u.model = c.model
            LIMIT 1
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS id
        FROM unnest(all_accounts, all_models) WITH ORDINALITY AS c (account_id, model, place)
    ) AS f;

    UPDATE contentq.usage AS u
    SET attempts = u.attempts + c.attempts,
        prompt_tokens = u.prompt_tokens + c.prompt_tokens,
        completion_tokens = u.completion_tokens + c.completion_tokens,
        cost = u.cost + c.cost
    FROM unnest(all_rows, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs)
        AS c (id, attempts, prompt_tokens, completion_tokens, cost)
    WHERE u.id = c.id;

    INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost)
    SELECT c.account_id, today, c.model, c.attempts, c.prompt_tokens, c.completion_tokens, c.cost
    FROM unnest(all_rows, all_accounts, all_models, all_attempts, all_prompt_tokens, all_completion_tokens, all_costs)
        AS c (id, account_id, model, attempts, prompt_tokens, completion_tokens, cost)
    WHERE c.id IS NULL;

    FOR charged_account IN
        SELECT a.id
        FROM public.accounts AS a
        WHERE a.id = ANY (all_accounts)
          AND a.monthly_budget IS NOT NULL
    LOOP
        PERFORM contentq.check_budget(charged_account);
        -- Not again at each report: maintain() goes on looking for 10 seconds.
        INSERT INTO contentq.budget_checks (account_id)
        SELECT charged_account
        WHERE NOT EXISTS (
            SELECT
            FROM contentq.budget_checks AS c
            WHERE c.account_id = charged_account
              AND c.noted_at > now_ - interval '5 seconds'
        );
    END LOOP;
END;
$$;

-- Name: FUNCTION add_usage(ids bigint[], usages text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.add_usage(ids bigint[], usages text[]) IS 'Internal: adds what attempts at these tasks have cost to the usage of their accounts.';

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

COMMENT ON FUNCTION contentq.are_tasks_coming() IS 'Internal: whether transactions are about to commit tasks that no one may have been notified of.';

-- Name: backoff(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.backoff(retry_count integer) RETURNS interval
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT random() * least(s.backoff_max, s.backoff_base * power(2, least(backoff.retry_count, 30)))
    FROM contentq.settings AS s;
$$;

-- Name: FUNCTION backoff(retry_count integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.backoff(retry_count integer) IS 'A random delay before the retry after retry_count earlier ones: up to settings.backoff_base doubled each time, at most settings.backoff_max.';

-- Name: block_account(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.block_account(account_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    paused_until timestamptz;
BEGIN
    SELECT a.paused_until INTO paused_until FROM public.accounts AS a WHERE a.id = block_account.account_id;

    IF paused_until > clock_timestamp() THEN
        INSERT INTO contentq.account_pauses AS p (account_id, paused_until)
        VALUES (block_account.account_id, paused_until)
        ON CONFLICT ON CONSTRAINT account_pauses_pkey DO UPDATE
        SET paused_until = excluded.paused_until;
    ELSE
        DELETE FROM contentq.account_pauses AS p WHERE p.account_id = block_account.account_id;
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;

    PERFORM contentq.check_budget(block_account.account_id);
    INSERT INTO contentq.budget_checks (account_id) VALUES (block_account.account_id);
END;
$$;

-- Name: FUNCTION block_account(account_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.block_account(account_id bigint) IS 'Internal: notes whether claims leave an account out, because it is paused or has used up its monthly budget.';

-- Name: cancel(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.cancel(task_id text) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    UPDATE public.content_generation_tasks AS t
    SET status = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'failed' ELSE t.status END,
        error_message = CASE WHEN t.status = 'pending' OR t.worker_id IS NULL THEN 'Task cancelled'
                             ELSE t.error_message END,
        cancel_requested_at = coalesce(t.cancel_requested_at, clock_timestamp()),
        scheduled_at = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.task_id = cancel.task_id
      AND t.status IN ('pending', 'processing')
    RETURNING t.status;
$$;

-- Name: FUNCTION cancel(task_id text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cancel(task_id text) IS 'Cancels a task: failed at once when it waits (Task cancelled); asked to stop when a worker runs it. Returns the new status, NULL when there is no such task or it has ended.';

-- Name: check_budget(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.check_budget(account_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    monthly_budget constant numeric := (
        SELECT a.monthly_budget
        FROM public.accounts AS a
        WHERE a.id = check_budget.account_id
    );
BEGIN
    IF contentq.spent_this_month(check_budget.account_id) >= monthly_budget THEN
        INSERT INTO contentq.used_up_budgets (account_id, over_budget_until)
        SELECT check_budget.account_id,
               (date_trunc('month', now_ AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
        WHERE NOT EXISTS (
            SELECT
            FROM contentq.used_up_budgets AS u
            WHERE u.account_id = check_budget.account_id
              AND u.over_budget_until > now_
        );
    ELSE
        DELETE FROM contentq.used_up_budgets
        WHERE id = ANY (ARRAY(
            SELECT u.id
            FROM contentq.used_up_budgets AS u
            WHERE u.account_id = check_budget.account_id
            ORDER BY u.id
            FOR UPDATE SKIP LOCKED
        ));
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;
END;
$$;

-- Name: FUNCTION check_budget(account_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.check_budget(account_id bigint) IS 'Internal: notes whether claims leave an account out because it has used up its monthly budget.';

-- Name: check_budgets(integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.check_budgets(max_rows integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    notes constant bigint[] := ARRAY(SELECT c.id FROM contentq.budget_checks AS c ORDER BY c.id LIMIT check_budgets.max_rows);
    noted_account bigint;
    done integer;
BEGIN
    FOR noted_account IN SELECT DISTINCT c.account_id FROM contentq.budget_checks AS c WHERE c.id = ANY (notes) LOOP
        PERFORM contentq.check_budget(noted_account);
    END LOOP;

    DELETE FROM contentq.budget_checks
    WHERE id = ANY (ARRAY(
        SELECT c.id
        FROM contentq.budget_checks AS c
        WHERE c.id = ANY (notes)
          AND c.noted_at < clock_timestamp() - interval '10 seconds'
        ORDER BY c.id
        FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS done = ROW_COUNT;

    DELETE FROM contentq.used_up_budgets
    WHERE id = ANY (ARRAY(
        SELECT u.id
        FROM contentq.used_up_budgets AS u
        WHERE u.over_budget_until <= clock_timestamp()
        ORDER BY u.id
        LIMIT check_budgets.max_rows
        FOR UPDATE SKIP LOCKED
    ));
    RETURN done;
END;
$$;

-- Name: FUNCTION check_budgets(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.check_budgets(max_rows integer) IS 'Internal: looks again at the budgets of accounts that were charged in the last seconds.';

-- Name: choose_ready(integer, text[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.choose_ready(max_tasks integer, categories text[]) RETURNS bigint[]
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
    -- Set to 0 by tests, so that each scan is taken for a long one.
    long constant interval := coalesce(
        nullif(current_setting('contentq.long_scan', true), '')::interval,
        interval '3 milliseconds' + choose_ready.max_tasks * interval '20 microseconds'
    );
    held bigint[] := ARRAY(
        SELECT h.account_id
        FROM contentq.blocked_accounts AS h
        WHERE greatest(h.paused_until, h.over_budget_until) > began
        ORDER BY h.account_id
    );
    longest constant interval := CASE
        WHEN cardinality(held) > 0 THEN interval '5 seconds'
        ELSE interval '1 second'
    END;
    memory jsonb := nullif(current_setting('contentq.ready_heads', true), '')::jsonb;
    heads jsonb := jsonb '{}';
    head record;
    chosen bigint[] := ARRAY[]::bigint[];
    took interval;
BEGIN
    IF memory IS NOT NULL
        -- Not after the clock was set back, either.
        AND (memory->>'until')::timestamptz BETWEEN began AND began + longest
        AND (memory->'categories') IS NOT DISTINCT FROM coalesce(to_jsonb(choose_ready.categories), 'null')
        AND memory->'held' = to_jsonb(held)
    THEN
        heads := memory->'heads';
        memory := memory - 'idle';
        FOR urgency IN REVERSE 10..1 LOOP
            SELECT coalesce((heads->urgency::text->>0)::timestamptz, '-infinity') AS submitted_at,
                   coalesce((heads->urgency::text->>1)::bigint, 0) AS id
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
                  AND t.account_id <> ALL (held)
                  AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
                ORDER BY t.priority DESC, t.submitted_at, t.id
                LIMIT choose_ready.max_tasks - cardinality(chosen)
                FOR UPDATE SKIP LOCKED
            );
            EXIT WHEN cardinality(chosen) >= choose_ready.max_tasks;
        END LOOP;
    ELSE
        chosen := ARRAY(
            SELECT t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
              AND t.attempt < 2147483647
              AND t.account_id <> ALL (held)
              AND (choose_ready.categories IS NULL OR t.category = ANY (choose_ready.categories))
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT choose_ready.max_tasks
            FOR UPDATE SKIP LOCKED
        );
        took := clock_timestamp() - began;
        -- One that has found nothing was not in vain twice: the session sleeps until there may be something. But each
        -- new task of a blocked account wakes it, and need not make it walk over all the others again.
        IF took < long OR cardinality(chosen) = 0 AND cardinality(held) = 0 THEN
            IF memory IS NOT NULL THEN
                PERFORM set_config('contentq.ready_heads', '', false);
            END IF;
            RETURN chosen;
        END IF;
        memory := jsonb_build_object(
            'until', began + least(20 * took, longest),
            'categories', choose_ready.categories,
            'held', held,
            -- Nothing was there, so that there is no reason to look again (see next_claim_in()) before it is woken.
            'idle', cardinality(chosen) = 0
        );
        -- The scan has seen all that is more urgent than the last task it chose, and everything if it chose few.
        SELECT jsonb_object_agg(p.priority, jsonb_build_array(began - interval '1 second', 0))
        INTO heads
        FROM generate_series(1, 10) AS p (priority)
        WHERE cardinality(chosen) < choose_ready.max_tasks
           OR p.priority > (SELECT t.priority
                            FROM public.content_generation_tasks AS t
                            WHERE t.id = chosen[cardinality(chosen)]);
    END IF;

    heads := coalesce(heads, '{}');
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole one.
    IF cardinality(chosen) > 0 THEN
        -- Not into the last second, whose tasks may not have been committed yet.
        SELECT heads || jsonb_object_agg(l.priority, l.place)
        INTO heads
        FROM (
            SELECT DISTINCT ON (t.priority) t.priority,
                   CASE WHEN t.submitted_at < began - interval '1 second'
                        THEN jsonb_build_array(t.submitted_at, t.id)
                        ELSE jsonb_build_array(began - interval '1 second', 0) END AS place
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (chosen)
            ORDER BY t.priority, t.submitted_at DESC, t.id DESC
        ) AS l;
    END IF;
    PERFORM set_config('contentq.ready_heads', (memory || jsonb_build_object('heads', heads))::text, false);
    RETURN chosen;
END;
$$;

-- Name: FUNCTION choose_ready(max_tasks integer, categories text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.choose_ready(max_tasks integer, categories text[]) IS 'Internal: chooses and locks the tasks that claim() takes; returns their ids in order.';

-- Name: content_generation_tasks; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.content_generation_tasks (
    id integer NOT NULL,
    task_id character varying(100) DEFAULT ('task-'::text || replace((gen_random_uuid())::text, '-'::text, ''::text)) NOT NULL,
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
    CONSTRAINT content_generation_tasks_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT content_generation_tasks_attempt_errors_check CHECK (((jsonb_typeof(attempt_errors) = 'array'::text) AND (NOT (attempt_errors @? '$[*]?(@.type() != "object")'::jsonpath)))),
    CONSTRAINT content_generation_tasks_cancel_requested_at_check CHECK (isfinite(cancel_requested_at)),
    CONSTRAINT content_generation_tasks_completed_at_check CHECK ((isfinite(completed_at) AND (((status)::text <> 'completed'::text) OR (completed_at IS NOT NULL)))),
    CONSTRAINT content_generation_tasks_created_at_check CHECK (isfinite(created_at)),
    CONSTRAINT content_generation_tasks_max_retries_check CHECK ((max_retries >= 0)),
    CONSTRAINT content_generation_tasks_priority_check CHECK (((priority >= 1) AND (priority <= 10))),
    CONSTRAINT content_generation_tasks_progress_check CHECK (((progress >= '0'::real) AND (progress <= '1'::real))),
    CONSTRAINT content_generation_tasks_result_check CHECK (((result IS NULL) OR ((result)::jsonb IS NOT NULL))),
    CONSTRAINT content_generation_tasks_retry_count_check CHECK ((retry_count >= 0)),
    CONSTRAINT content_generation_tasks_started_at_check CHECK ((isfinite(started_at) AND (((status)::text <> 'processing'::text) OR (started_at IS NOT NULL)))),
    CONSTRAINT content_generation_tasks_status_check CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying, 'completed'::character varying, 'failed'::character varying, 'timeout'::character varying])::text[]))),
    CONSTRAINT content_generation_tasks_submitted_at_check CHECK (isfinite(submitted_at)),
    CONSTRAINT content_generation_tasks_task_id_check CHECK (((task_id)::text <> ''::text)),
    CONSTRAINT content_generation_tasks_updated_at_check CHECK (isfinite(updated_at))
);

-- Name: TABLE content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.content_generation_tasks IS 'The queue: one row follows one piece of content from its submission to its end. A producer names account_id and whatever else it likes; every other column has a default.';

-- Name: COLUMN content_generation_tasks.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.id IS 'Internal identifier (4 bytes by specification).';

-- Name: COLUMN content_generation_tasks.task_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.task_id IS 'Public identifier; task-<32 hex digits> when the inserter leaves it out.';

-- Name: COLUMN content_generation_tasks.content_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.content_id IS 'The content that the task produced; NULL until then.';

-- Name: COLUMN content_generation_tasks.account_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.account_id IS 'The account that it works for.';

-- Name: COLUMN content_generation_tasks.topic; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.topic IS 'Subject, up to 500 characters.';

-- Name: COLUMN content_generation_tasks.keywords; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.keywords IS 'Comma-separated, up to 500 characters.';

-- Name: COLUMN content_generation_tasks.category; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.category IS 'Category, up to 100 characters; a worker can claim by it.';

-- Name: COLUMN content_generation_tasks.requirements; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.requirements IS 'Special instructions to the handler.';

-- Name: COLUMN content_generation_tasks.tone; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.tone IS 'Style of voice, up to 50 characters.';

-- Name: COLUMN content_generation_tasks.status; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.status IS 'pending, processing, completed, failed or timeout.';

-- Name: COLUMN content_generation_tasks.priority; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.priority IS '1 to 10; larger is more urgent.';

-- Name: COLUMN content_generation_tasks.retry_count; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.retry_count IS 'Retries charged so far.';

-- Name: COLUMN content_generation_tasks.max_retries; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.max_retries IS 'Retries allowed after the first attempt: max_retries + 1 attempts in all.';

-- Name: COLUMN content_generation_tasks.submitted_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.submitted_at IS 'When it was submitted; within a priority, older is claimed first.';

-- Name: COLUMN content_generation_tasks.started_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.started_at IS 'Start of the latest attempt.';

-- Name: COLUMN content_generation_tasks.completed_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.completed_at IS 'When it became completed.';

-- Name: COLUMN content_generation_tasks.timeout_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.timeout_at IS 'Deadline of the whole task, waiting included; past it the task becomes timeout.';

-- Name: COLUMN content_generation_tasks.result; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.result IS 'What the handler returned, e.g. {"success": true, "content_id": 123, "word_count": 1500}.';

-- Name: COLUMN content_generation_tasks.error_message; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.error_message IS 'The latest error; NULL once completed.';

-- Name: COLUMN content_generation_tasks.auto_approve; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.auto_approve IS 'Whether the content that the task produces is approved without review.';

-- Name: COLUMN content_generation_tasks.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.created_at IS 'When the row was inserted.';

-- Name: COLUMN content_generation_tasks.updated_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.updated_at IS 'When the row was last updated; kept by a trigger.';

-- Name: COLUMN content_generation_tasks.scheduled_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.scheduled_at IS 'Not to be claimed before this time (delay or backoff); NULL means ready now, and it becomes NULL once due.';

-- Name: COLUMN content_generation_tasks.attempt; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.attempt IS 'Fencing token: +1 at each claim, never reset. An outcome counts only with the current value.';

-- Name: COLUMN content_generation_tasks.worker_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.worker_id IS 'The worker that holds the task, or that has still to be told that it no longer does.';

-- Name: COLUMN content_generation_tasks.cancel_requested_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.cancel_requested_at IS 'When cancelling was asked for while it was running; it can only end failed.';

-- Name: COLUMN content_generation_tasks.attempt_errors; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.attempt_errors IS 'The last 20 failures: array of {attempt, at, worker_id, error_class, message}.';

-- Name: COLUMN content_generation_tasks.progress; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.progress IS 'How far the latest attempt is, from 0 to 1, as its handler says; NULL when it does not.';

-- Name: COLUMN content_generation_tasks.progress_note; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.content_generation_tasks.progress_note IS 'What the handler of the latest attempt says of its progress.';

-- Name: claim(bigint, integer, text[], bigint[]); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.claim(worker_id bigint, max_tasks integer, categories text[] DEFAULT NULL::text[], task_ids bigint[] DEFAULT NULL::bigint[]) RETURNS SETOF public.content_generation_tasks
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    closed jsonb;
    -- Whether tasks are being committed that no one may have been notified of (see wake_workers); asked before looking.
    are_coming constant boolean := contentq.are_tasks_coming();
    looks constant text := current_setting('contentq.look_again', true);
    vain integer := 0;
    chosen bigint[];
    fitting bigint[];
BEGIN
    SELECT (
        SELECT jsonb_build_object('key', g.key, 'opens_at', g.opens_at, 'reason', g.reason, 'half_open', g.half_open)
        FROM contentq.gates AS g
        WHERE g.key IN (w.gate, '*')
          AND g.opens_at > now_
        ORDER BY g.opens_at + interval '0' DESC
        LIMIT 1
    )
    INTO closed
    FROM contentq.workers AS w
    WHERE w.id = claim.worker_id
      AND w.login = session_user;
    IF NOT FOUND THEN
        PERFORM contentq.raise_not_registered(claim.worker_id);
    END IF;
    IF closed IS NOT NULL AND claim.task_ids IS NULL THEN
        PERFORM set_config('contentq.gate', closed::text, false);
        RETURN;
    ELSIF current_setting('contentq.gate', true) <> '' THEN
        PERFORM set_config('contentq.gate', '', false);
    END IF;
    IF claim.max_tasks IS NULL OR claim.max_tasks < 1 THEN
        RETURN;
    END IF;

    IF claim.task_ids IS NOT NULL THEN
        IF NOT has_any_column_privilege(session_user, 'public.content_generation_tasks', 'UPDATE') THEN
            RAISE EXCEPTION '% may not name the tasks that it claims', session_user
                USING ERRCODE = 'insufficient_privilege',
                      HINT = 'Whoever names tasks starts them whatever gate, time or account they wait for: that is '
                             'for logins that may update tasks. Claim without task_ids.';
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
        -- Not EXISTS, which drops the order, and with it the reason to use the index on scheduled_at.
        IF (SELECT t.scheduled_at
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NOT NULL
              AND t.scheduled_at <= now_
            ORDER BY t.scheduled_at
            LIMIT 1) IS NOT NULL
            AND contentq.promote_scheduled() > claim.max_tasks
        THEN
            PERFORM contentq.notify_ready();
        END IF;

        chosen := contentq.choose_ready(claim.max_tasks, claim.categories);
        IF are_coming AND cardinality(chosen) < claim.max_tasks THEN
            -- Later each time that it was in vain: one that commits may have to wait for a standby, or for its client.
            IF cardinality(chosen) = 0 AND looks ~ '^[0-9.]+ [0-9]$'
                AND split_part(looks, ' ', 1)::float8 BETWEEN extract(epoch FROM now_) - 1 AND extract(epoch FROM now_)
            THEN
                vain := least(split_part(looks, ' ', 2)::integer + 1, 6);
            END IF;
            PERFORM set_config(
                'contentq.look_again', concat_ws(' ', extract(epoch FROM clock_timestamp()), vain), false);
        ELSIF looks <> '' THEN
            PERFORM set_config('contentq.look_again', '', false);
        END IF;
    END IF;
    IF cardinality(chosen) = 0 THEN
        RETURN;
    -- All that ordinary tasks pay: those of which more than the texts may be large are looked at closely.
    ELSIF cardinality(chosen) > 1 AND (
        SELECT sum(
            octet_length(t.task_id)
            + coalesce(octet_length(t.topic), 0)
            + coalesce(octet_length(t.keywords), 0)
            + coalesce(octet_length(t.category), 0)
            + coalesce(octet_length(t.requirements), 0)
            + coalesce(octet_length(t.tone), 0)
            + coalesce(octet_length(t.error_message), 0)
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
            -- The others are behind the places that choose_ready() remembers, and wait for no notification.
            PERFORM set_config('contentq.ready_heads', '', false);
            PERFORM set_config('contentq.look_again', concat_ws(' ', extract(epoch FROM clock_timestamp()), 0), false);
        END IF;
    END IF;

    RETURN QUERY
    WITH claimed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'processing',
            started_at = clock_timestamp(),
            attempt = t.attempt + 1,
            worker_id = claim.worker_id,
            scheduled_at = NULL,
            completed_at = NULL,
            cancel_requested_at = NULL,
            progress = NULL,
            progress_note = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (chosen)
        RETURNING t.*
    )
    SELECT c.*
    FROM claimed AS c
    ORDER BY c.priority DESC, c.submitted_at, c.id;
END;
$_$;

-- Name: FUNCTION claim(worker_id bigint, max_tasks integer, categories text[], task_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.claim(worker_id bigint, max_tasks integer, categories text[], task_ids bigint[]) IS 'Claims at most max_tasks ready tasks (of these categories, when given) for a worker, in the order priority DESC, submitted_at, id; none while its gate, or the gate *, is closed. The attempt of each row is the fencing token to report with. task_ids: only these, whatever gate, time or account they wait for, for logins that may update tasks. Raises CQ001 when the worker is not registered.';

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
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
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
    -- To the planner an empty array implies whatever an index is restricted to: it might read a whole other index.
    IF cardinality(old) > 0 THEN
        DELETE FROM public.content_generation_tasks WHERE id = ANY (old);
    END IF;
    RETURN cardinality(old);
END;
$$;

-- Name: FUNCTION cleanup(older_than interval, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.cleanup(older_than interval, max_rows integer) IS 'Deletes up to max_rows completed tasks that ended longer ago than older_than; returns how many.';

-- Name: close_gate(text, timestamp with time zone, text, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.close_gate(key text, opens_at timestamp with time zone, reason text DEFAULT NULL::text, half_open boolean DEFAULT false) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    may_close_any constant boolean := has_table_privilege(session_user, 'contentq.gates', 'UPDATE');
    closed_until timestamptz;
BEGIN
    IF coalesce(close_gate.key, '') = '' OR close_gate.opens_at IS NULL THEN
        RAISE EXCEPTION 'a gate is closed by its key and the time at which it opens again'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'For a pause without an end, close it until ''infinity''; contentq.open_gate() opens it.';
    END IF;
    IF NOT may_close_any AND (
        close_gate.key = '*'
        OR NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.gate = close_gate.key AND w.login = session_user)
    ) THEN
        RAISE EXCEPTION '% may close the gates that its own workers have, and gate % is none', session_user, close_gate.key
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
        closed_by = excluded.closed_by
    WHERE g.opens_at < excluded.opens_at;
    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
    SELECT g.opens_at INTO closed_until FROM contentq.gates AS g WHERE g.key = close_gate.key;
    RETURN closed_until;
END;
$$;

-- Name: FUNCTION close_gate(key text, opens_at timestamp with time zone, reason text, half_open boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.close_gate(key text, opens_at timestamp with time zone, reason text, half_open boolean) IS 'Closes a gate until opens_at (infinity: until it is opened): no worker registered with it claims; the gate * is every worker''s. One that is closed for longer stays so. half_open: each worker then begins with one task. Workers'' logins close gates of their own workers only, for an hour at most. Returns until when it is closed.';

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
BEGIN
    IF NOT contentq.is_own_worker(complete.worker_id) THEN
        RETURN;
    END IF;
    IF num_nonnulls(VARIADIC complete.content_ids) > 0
        AND NOT has_any_column_privilege(session_user, 'public.contents', 'INSERT')
    THEN
        RAISE EXCEPTION '% may not name the content of a task', session_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'That is for logins that may insert contents. Let contentq.store() store it, and complete the task.';
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
            worker_id = NULL,
            updated_at = CURRENT_TIMESTAMP
        FROM reported AS r
        WHERE t.id = ANY (ARRAY[r.id])
          AND t.attempt = r.attempt
          AND contentq.is_held(t.status, t.worker_id, complete.worker_id)
          AND t.cancel_requested_at IS NULL
          AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
        RETURNING t.id, r.result
    )
    SELECT coalesce(array_agg(c.id), '{}'), array_agg(c.result)
    INTO completed, completed_results
    FROM counted AS c;

    IF cardinality(completed) < cardinality(complete.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(complete.worker_id, complete.ids, complete.attempts);
    END IF;

    -- Asked first, since most results have cost nothing, and asking is cheap.
    IF EXISTS (SELECT
               FROM unnest(completed_results) AS r (result)
               WHERE strpos(r.result, '_tokens"') > 0 OR strpos(r.result, '"cost"') > 0)
    THEN
        PERFORM contentq.add_usage(completed, completed_results);
    END IF;

    -- + 0: their contents are found by id, and not among all those of the account.
    IF complete.content_ids IS NOT NULL AND cardinality(completed) > 0
        AND has_column_privilege(session_user, 'public.contents', 'review_status', 'UPDATE')
    THEN
        WITH produced AS MATERIALIZED (
            SELECT t.content_id, t.account_id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (completed)
              AND t.auto_approve
              AND t.content_id + 0 = ANY (complete.content_ids)
        )
        UPDATE public.contents AS c
        SET review_status = 'approved'
        FROM produced AS p
        WHERE c.id = ANY (ARRAY[p.content_id])
          AND c.account_id + 0 = p.account_id
          AND c.review_status = 'pending';
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

-- Name: FUNCTION complete(worker_id bigint, ids bigint[], attempts integer[], results text[], content_ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.complete(worker_id bigint, ids bigint[], attempts integer[], results text[], content_ids bigint[]) IS 'Completes the tasks (ids with their attempts) that this worker still holds; results are JSON as text, content_ids the content they produced. Returns the ids that counted; the others were taken over, cancelled or past their deadline.';

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

COMMENT ON FUNCTION contentq.deregister_worker(worker_id bigint) IS 'Removes a worker and releases the tasks that it still holds, nothing charged; returns their ids.';

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

COMMENT ON FUNCTION contentq.drain_worker(worker_id bigint) IS 'Marks a worker as draining: it claims no more; what it runs may still end.';

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
    -- The lock comes first, in a statement of its own: a cancel that is about to commit is waited for here, and
    -- the statements after this one see it.
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

COMMENT ON FUNCTION contentq.end_cancelled_or_overdue(worker_id bigint, ids bigint[], attempts integer[]) IS 'Internal: ends those of a worker''s tasks that were cancelled or whose deadline has passed; returns their ids.';

-- Name: explain(text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.explain(task_id text) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    most_counted constant integer := 10000;
    now_ constant timestamptz := clock_timestamp();
    task public.content_generation_tasks;
    account public.accounts;
    held contentq.blocked_accounts;
    spent numeric;
    fleet record;
    closed contentq.gates;
    each record;
    held_by record;
    counted bigint;
    ahead bigint;
    reasons integer := 0;
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
        RETURN NEXT format('it is running: attempt %s began %s ago', task.attempt,
                           date_trunc('second', now_ - task.started_at));
        IF task.worker_id IS NULL OR held_by.id IS NULL THEN
            RETURN NEXT 'no worker holds it: it was set to processing by hand, and who did that ends it, or its deadline';
            RETURN NEXT 'when nobody works on it any more: contentq cancel, then contentq requeue';
        ELSIF held_by.is_silent THEN
            RETURN NEXT format('its worker %s (%s, pid %s) was not heard for %s: it will be taken back from it',
                               held_by.id, held_by.hostname, held_by.pid, date_trunc('second', held_by.silence));
        ELSE
            RETURN NEXT format('worker %s (%s, pid %s) has it', held_by.id, held_by.hostname, held_by.pid);
        END IF;
        IF task.progress IS NOT NULL OR task.progress_note IS NOT NULL THEN
            RETURN NEXT 'progress: ' || concat_ws(', ', round((task.progress * 100)::numeric) || ' %',
                                                  task.progress_note);
        END IF;
        IF task.cancel_requested_at IS NOT NULL THEN
            RETURN NEXT 'it was cancelled, and its worker is stopping it';
        ELSIF task.timeout_at IS NOT NULL THEN
            RETURN NEXT format('its deadline is %s', date_trunc('second', task.timeout_at));
        END IF;
        RETURN;
    ELSIF task.status <> 'pending' THEN
        RETURN NEXT format('it has ended: %s, %s', task.status,
                           date_trunc('second', coalesce(task.completed_at, task.updated_at)));
        IF task.status <> 'completed' THEN
            RETURN NEXT format('the reason: %s', coalesce(task.error_message, 'none was given'));
            RETURN NEXT format('to put it back: contentq requeue, or SELECT contentq.requeue(%L)', task.task_id);
        ELSIF EXISTS (SELECT
                      FROM public.contents AS c
                      WHERE c.id = task.content_id
                        AND c.account_id + 0 = task.account_id
                        AND c.review_status = 'rejected')
        THEN
            RETURN NEXT format('its content was rejected; to have it revised: contentq requeue --note, or '
                               'SELECT contentq.requeue(%L, ''what to improve'')', task.task_id);
        END IF;
        RETURN;
    END IF;

    IF task.timeout_at <= now_ THEN
        RETURN NEXT format('its deadline has passed (%s): it is about to become timeout',
                           date_trunc('second', task.timeout_at));
        reasons := reasons + 1;
    END IF;
    IF task.scheduled_at = 'infinity' THEN
        RETURN NEXT 'it is not due: scheduled_at is infinity';
        reasons := reasons + 1;
    ELSIF task.scheduled_at > now_ THEN
        RETURN NEXT format('it is not due for %s: scheduled_at is %s%s',
                           date_trunc('second', task.scheduled_at - now_),
                           date_trunc('second', task.scheduled_at),
                           CASE WHEN task.attempt > 0
                                THEN ', since the last attempt ended with: ' || task.error_message END);
        reasons := reasons + 1;
    END IF;
    IF task.attempt = 2147483647 THEN
        RETURN NEXT 'its attempt is the highest there is: it is never claimed';
        reasons := reasons + 1;
    END IF;

    SELECT a.* INTO account FROM public.accounts AS a WHERE a.id = task.account_id;
    SELECT h.* INTO held FROM contentq.blocked_accounts AS h WHERE h.account_id = task.account_id;
    IF held.paused_until > now_ THEN
        RETURN NEXT format('account %s is paused %s', task.account_id,
                           CASE WHEN held.paused_until = 'infinity' THEN 'until someone resumes it'
                                ELSE format('until %s', date_trunc('second', held.paused_until)) END);
        reasons := reasons + 1;
    END IF;
    IF held.over_budget_until > now_ THEN
        spent := contentq.spent_this_month(task.account_id);
        RETURN NEXT format('account %s has used up its monthly budget: %s of %s; it goes on %s, or when '
                           'accounts.monthly_budget is raised', task.account_id, round(spent, 4),
                           account.monthly_budget, date_trunc('second', held.over_budget_until));
        reasons := reasons + 1;
    END IF;

    SELECT g.* INTO closed FROM contentq.gates AS g WHERE g.key = '*' AND g.opens_at > now_;
    IF FOUND THEN
        RETURN NEXT 'all workers are paused' || contentq.gate_closure_text(closed);
        reasons := reasons + 1;
    END IF;
    FOR each IN
        SELECT g AS gate, l.with_gate
        FROM contentq.gates AS g
        JOIN (
            SELECT w.gate, count(*) AS with_gate
            FROM contentq.workers AS w
            CROSS JOIN contentq.settings AS s
            WHERE w.heartbeat_at >= now_ - s.heartbeat_timeout
            GROUP BY w.gate
        ) AS l ON l.gate = g.key
        WHERE g.key <> '*'
          AND (g.opens_at > now_ OR g.closed_at > now_ - interval '1 minute')
        ORDER BY g.key
    LOOP
        RETURN NEXT format('gate %s (live workers that have it: %s) ', (each.gate).key, each.with_gate)
            || CASE
                   WHEN (each.gate).opens_at > now_ THEN 'is closed' || contentq.gate_closure_text(each.gate)
                   ELSE format('was closed %s ago, and its workers begin tasks as fast as the provider lets them%s',
                               date_trunc('second', now_ - (each.gate).closed_at),
                               coalesce('; the reason: ' || (each.gate).reason, ''))
               END;
        reasons := reasons + 1;
    END LOOP;

    SELECT count(*) AS alive,
           coalesce(sum(w.slots), 0) AS slots,
           coalesce(sum(b.busy), 0) AS busy,
           count(*) FILTER (WHERE b.busy < w.slots) AS with_room
    INTO fleet
    FROM contentq.workers AS w
    CROSS JOIN contentq.settings AS s
    CROSS JOIN LATERAL (
        SELECT count(*) AS busy
        FROM public.content_generation_tasks AS t
        WHERE t.worker_id = w.id
          AND t.status = 'processing'
    ) AS b
    WHERE NOT w.draining
      AND w.heartbeat_at >= now_ - s.heartbeat_timeout;
    IF fleet.alive = 0 THEN
        RETURN NEXT 'there is no live worker: start one with contentq worker';
        reasons := reasons + 1;
    ELSIF fleet.with_room = 0 THEN
        RETURN NEXT format('all live workers (%s) are full: %s of %s slots are taken',
                           fleet.alive, fleet.busy, fleet.slots);
        reasons := reasons + 1;
    END IF;

    IF task.scheduled_at IS NULL THEN
        SELECT count(*), count(*) FILTER (WHERE h.account_id IS NULL)
        INTO counted, ahead
        FROM (
            SELECT t.account_id, t.priority, t.submitted_at, t.id
            FROM public.content_generation_tasks AS t
            WHERE t.status = 'pending'
              AND t.scheduled_at IS NULL
            ORDER BY t.priority DESC, t.submitted_at, t.id
            LIMIT most_counted
        ) AS first
        LEFT JOIN contentq.blocked_accounts AS h
            ON h.account_id = first.account_id
            AND greatest(h.paused_until, h.over_budget_until) > now_
        WHERE first.priority > task.priority
           OR first.priority = task.priority
              AND (first.submitted_at, first.id) < (task.submitted_at, task.id);
        IF ahead > 0 OR counted = most_counted THEN
            RETURN NEXT CASE
                WHEN counted = most_counted
                THEN format('%s or more ready tasks are ahead of it (priority, then submitted_at), those of blocked '
                            'accounts included', counted)
                ELSE format('%s ready %s ahead of it (priority, then submitted_at)',
                            ahead, CASE WHEN ahead = 1 THEN 'task is' ELSE 'tasks are' END)
            END;
            reasons := reasons + 1;
        END IF;
    END IF;

    IF reasons = 0 THEN
        RETURN NEXT 'nothing stands in its way: it is about to be claimed, unless the workers claim other categories'
                    || CASE WHEN task.category IS NULL THEN ' only' ELSE format(' than %L', task.category) END;
    END IF;
END;
$$;

-- Name: FUNCTION explain(task_id text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.explain(task_id text) IS 'Why a task is not running, one line for each reason: not due, paused, budget used up, gate closed, no live worker, all full, so many ahead of it; or what became of it.';

-- Name: fail(bigint, bigint, integer, text, boolean, interval, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean DEFAULT false, retry_after interval DEFAULT NULL::interval, error_class text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
DECLARE
    task public.content_generation_tasks;
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

    RETURN contentq.record_failure(
        task.id, fail.message, fail.error_class, coalesce(fail.permanent, false),
        coalesce(fail.retry_after, contentq.backoff(task.retry_count))
    );
END;
$$;

-- Name: FUNCTION fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean, retry_after interval, error_class text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.fail(worker_id bigint, id bigint, attempt integer, message text, permanent boolean, retry_after interval, error_class text) IS 'Reports a failed attempt: back to pending with one retry charged (after retry_after, or a random backoff), or failed when permanent or when no retry is left. Returns the new status, NULL when the task is no longer held by this worker in this attempt.';

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

COMMENT ON FUNCTION contentq.fit_claim(ids bigint[]) IS 'Internal: the first of these tasks whose texts come to 16 MB together; one at least.';

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

    DELETE FROM contentq.workers AS w WHERE w.id = forget_worker.worker_id;
END;
$$;

-- Name: FUNCTION forget_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.forget_worker(worker_id bigint) IS 'Internal: removes the row of a worker that holds nothing any more.';

-- Name: gates; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.gates (
    key text NOT NULL,
    opens_at timestamp with time zone NOT NULL,
    reason text,
    half_open boolean DEFAULT false NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    closed_by text,
    CONSTRAINT gates_closed_at_check CHECK (isfinite(closed_at)),
    CONSTRAINT gates_key_check CHECK ((key <> ''::text))
);

-- Name: TABLE gates; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.gates IS 'Every gate that was ever closed: until opens_at, no worker that was registered with it claims anything.';

-- Name: COLUMN gates.key; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.key IS 'What workers register with, such as a provider''s host; * is every worker''s.';

-- Name: COLUMN gates.opens_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.opens_at IS 'When it opens again; infinity: when someone calls open_gate().';

-- Name: COLUMN gates.reason; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.reason IS 'Why it was closed the last time, up to 500 characters.';

-- Name: COLUMN gates.half_open; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.half_open IS 'Whether each worker is to begin again with a single task.';

-- Name: COLUMN gates.closed_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.closed_at IS 'When it was closed the last time.';

-- Name: COLUMN gates.closed_by; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.gates.closed_by IS 'Who closed it: user, program, address.';

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
           || coalesce('; the reason: ' || gate_closure_text.gate.reason, '');
$$;

-- Name: FUNCTION gate_closure_text(gate contentq.gates); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.gate_closure_text(gate contentq.gates) IS 'Internal: until when a gate is closed and why, in words.';

-- Name: heartbeat(bigint, integer, bigint[], integer[], timestamp with time zone); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.heartbeat(worker_id bigint, busy integer DEFAULT NULL::integer, ids bigint[] DEFAULT NULL::bigint[], attempts integer[] DEFAULT NULL::integer[], complete_until timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(id bigint, attempt integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
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
            RAISE WARNING 'worker % cannot be noted as alive: its row in contentq.workers is locked by %',
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
        -- By expressions, which leave no index but the primary key.
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
    -- Not one that this attempt has ended: its report may have been answered since the list was made.
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

COMMENT ON FUNCTION contentq.heartbeat(worker_id bigint, busy integer, ids bigint[], attempts integer[], complete_until timestamp with time zone) IS 'Keeps a worker alive (10 seconds of silence and its tasks are rescued) and returns (id, attempt) of the tasks that it should stop: cancelled, or no longer its own. busy: tasks that it is running. ids, attempts: the attempts that it holds, complete for all that was claimed until complete_until; others of its tasks from before then are released, and charged a retry from the second time on. Raises CQ001 when it is not registered.';

-- Name: held_attempts(bigint, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.held_attempts(worker_id bigint, max_rows integer) RETURNS TABLE(id bigint, attempt integer, started_at timestamp with time zone, is_cancelled boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    -- A range and an order that only the index on the holders of tasks has; = would make any index do.
    SELECT t.id::bigint, t.attempt, t.started_at, t.cancel_requested_at IS NOT NULL
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN held_attempts.worker_id AND held_attempts.worker_id
      AND t.status = 'processing'
    ORDER BY t.worker_id
    LIMIT held_attempts.max_rows;
$$;

-- Name: FUNCTION held_attempts(worker_id bigint, max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.held_attempts(worker_id bigint, max_rows integer) IS 'Internal: the attempts that a worker holds, with the time of their claims and whether they are to be stopped, max_rows at most.';

-- Name: is_held(text, bigint, bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE(((status = 'processing'::text) AND (holder = worker_id)), false);

-- Name: FUNCTION is_held(status text, holder bigint, worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_held(status text, holder bigint, worker_id bigint) IS 'Internal: whether a task with this status and worker_id is held by this worker.';

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
        RAISE EXCEPTION 'worker % was registered by another login than %', is_own_worker.worker_id, session_user
            USING ERRCODE = 'CQ003',
                  HINT = 'A worker acts only under the id that its own login got from contentq.register_worker().';
    END IF;
    RETURN owner_login IS NOT NULL;
END;
$$;

-- Name: FUNCTION is_own_worker(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.is_own_worker(worker_id bigint) IS 'Internal: whether this worker is registered; raises CQ003 when another login has registered it.';

-- Name: lock_holder(xid); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.lock_holder(holder xid) RETURNS text
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(
        (SELECT concat('session ', l.pid, ' (', concat_ws(
                    ', ',
                    nullif(regexp_replace(s.application_name, '[^[:print:]]', '?', 'g'), ''),
                    'user ' || s.usename,
                    s.state || to_char(s.state_change AT TIME ZONE 'UTC', '" since "YYYY-MM-DD HH24:MI:SS" UTC"')
                ), ')')
         FROM pg_locks AS l
         LEFT JOIN pg_stat_activity AS s ON s.pid = l.pid
         WHERE l.locktype = 'transactionid'
           AND l.transactionid = lock_holder.holder
           AND l.granted
         LIMIT 1),
        'another session'
    );
$$;

-- Name: FUNCTION lock_holder(holder xid); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.lock_holder(holder xid) IS 'Internal: the session that a transaction belongs to, for messages.';

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
    held_ids bigint[];
    held_accounts bigint[];
    held_contents bigint[];
    free_tasks bigint[];
    free_accounts bigint[];
    free_contents bigint[];
BEGIN
    IF NOT contentq.is_own_worker(locked_tasks.worker_id) THEN
        RETURN;
    END IF;
    SELECT array_agg(t.id), array_agg(t.account_id), array_agg(t.content_id)
    INTO held_ids, held_accounts, held_contents
    FROM unnest(locked_tasks.ids) AS n (id)
    JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
    WHERE contentq.is_held(t.status, t.worker_id, locked_tasks.worker_id);

    BEGIN
        free_tasks := ARRAY(
            SELECT t.id
            FROM unnest(held_ids) AS n (id)
            JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR NO KEY UPDATE OF t SKIP LOCKED
        );
        -- As the foreign key of content does.
        free_accounts := ARRAY(
            SELECT a.id
            FROM (SELECT DISTINCT u.id FROM unnest(held_accounts) AS u (id)) AS n
            JOIN public.accounts AS a ON a.id = ANY (ARRAY[n.id])
            ORDER BY n.id
            FOR KEY SHARE OF a SKIP LOCKED
        );
        free_contents := ARRAY(
            SELECT c.id
            FROM (SELECT DISTINCT u.id FROM unnest(held_contents) AS u (id)) AS n
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
    FROM unnest(held_ids, held_accounts, held_contents) AS n (id, account_id, content_id)
    WHERE n.id <> ALL (free_tasks)
       OR n.account_id <> ALL (free_accounts)
       OR n.content_id IS NOT NULL AND n.content_id <> ALL (free_contents);
END;
$$;

-- Name: FUNCTION locked_tasks(worker_id bigint, ids bigint[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.locked_tasks(worker_id bigint, ids bigint[]) IS 'Of these tasks, those that this worker holds and cannot report now, since another session has locked their row, account or content, and which session that is.';

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
    held_since timestamptz;
    holder text;
BEGIN
    PERFORM FROM contentq.maintenance FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT m.ran_at, contentq.lock_holder(m.xmax)
        INTO held_since, holder
        FROM contentq.maintenance AS m
        WHERE m.ran_at < now_ - 4 * longest_wait;
        IF FOUND THEN
            RAISE WARNING 'deadlines, rescues and clean-up are held up since %: the row of contentq.maintenance is locked by %',
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

    FOREACH step IN ARRAY ARRAY['sweep', 'promote', 'rescue', 'check budgets', 'clean up'] LOOP
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
            ELSIF step = 'check budgets' THEN
                done := contentq.check_budgets(batch);
            ELSIF watch.cleaned_at < now_ - interval '1 minute' THEN
                IF settings.retention IS NOT NULL THEN
                    done := contentq.cleanup(settings.retention, batch);
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
                DELETE FROM contentq.account_pauses
                WHERE account_id = ANY (ARRAY(
                    SELECT p.account_id
                    FROM contentq.account_pauses AS p
                    WHERE p.paused_until <= now_
                    LIMIT batch
                    FOR UPDATE SKIP LOCKED
                ));
                GET DIAGNOSTICS deleted = ROW_COUNT;
                done := greatest(done, deleted);
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

    -- A live worker stops its handlers at their deadlines itself; this comes a moment later.
    next_event := least(
        clock_timestamp() + longest_wait,
        (SELECT min(t.timeout_at) + interval '250 milliseconds'
         FROM public.content_generation_tasks AS t
         WHERE t.status IN ('pending', 'processing')
           AND t.timeout_at IS NOT NULL
           AND t.timeout_at < now_ + longest_wait),
        (SELECT greatest(min(w.heartbeat_at), watch.watched_since) + settings.heartbeat_timeout
         FROM contentq.workers AS w)
    );
    next_event := greatest(next_event, clock_timestamp());
    RETURN least(longest_wait, greatest(next_event - clock_timestamp() + interval '10 milliseconds',
                                        interval '100 milliseconds'));
END;
$$;

-- Name: FUNCTION maintain(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.maintain() IS 'Housekeeping, by whichever worker calls first: sweeps deadlines, rescues dead workers'' tasks, makes scheduled tasks ready, deletes what is older than settings.retention. Returns how long to wait before the next call.';

-- Name: next_claim_in(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.next_claim_in() RETURNS interval
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT CASE
        WHEN g.opens_at = 'infinity'
        THEN NULL
        WHEN g.opens_at IS NOT NULL
        THEN greatest(g.opens_at - clock_timestamp(), interval '0')
        WHEN nullif(split_part(current_setting('contentq.look_again', true), ' ', 1), '')::float8
             BETWEEN extract(epoch FROM clock_timestamp()) - 1 AND extract(epoch FROM clock_timestamp())
        THEN interval '5 milliseconds'
             * power(2, split_part(current_setting('contentq.look_again', true), ' ', 2)::integer)
        WHEN d.due IS NOT NULL
        THEN greatest(d.due - clock_timestamp(), interval '0')
    END
    FROM (
        SELECT least(
            (SELECT t.scheduled_at
             FROM public.content_generation_tasks AS t
             WHERE t.status = 'pending'
               AND t.scheduled_at IS NOT NULL
               AND t.scheduled_at < 'infinity'
             ORDER BY t.scheduled_at
             LIMIT 1),
            (SELECT min(greatest(h.paused_until, h.over_budget_until))
             FROM contentq.blocked_accounts AS h
             WHERE greatest(h.paused_until, h.over_budget_until) > clock_timestamp()
               AND greatest(h.paused_until, h.over_budget_until) < 'infinity'),
            (SELECT (m.memory->>'until')::timestamptz
             FROM (SELECT nullif(current_setting('contentq.ready_heads', true), '')::jsonb AS memory) AS m
             WHERE NOT coalesce((m.memory->>'idle')::boolean, false))
        ) AS due
    ) AS d
    CROSS JOIN (
        SELECT (nullif(current_setting('contentq.gate', true), '')::jsonb->>'opens_at')::timestamptz AS opens_at
    ) AS g;
$$;

-- Name: FUNCTION next_claim_in(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.next_claim_in() IS 'Time until the next scheduled task becomes ready, until the gate that its last claim found closed opens, or until this session should look again for another reason; NULL when there is no such time.';

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

COMMENT ON FUNCTION contentq.notify_ready() IS 'Internal: notifies channel contentq_ready, without a payload, unless the queue of notifications is filling up.';

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
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
    now_ constant timestamptz := clock_timestamp();
    due bigint[];
BEGIN
    due := ARRAY(
        SELECT t.id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NOT NULL
          AND t.scheduled_at <= now_
        ORDER BY t.scheduled_at
        LIMIT promote_scheduled.max_rows
        FOR UPDATE SKIP LOCKED
    );
    IF cardinality(due) > 0 THEN
        UPDATE public.content_generation_tasks
        SET scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE id = ANY (due);
    END IF;
    RETURN cardinality(due);
END;
$$;

-- Name: FUNCTION promote_scheduled(max_rows integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.promote_scheduled(max_rows integer) IS 'Makes ready up to max_rows tasks whose scheduled_at has passed; returns how many.';

-- Name: raise_not_registered(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.raise_not_registered(worker_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM contentq.is_own_worker(raise_not_registered.worker_id);
    RAISE EXCEPTION 'worker % is not registered', raise_not_registered.worker_id
        USING ERRCODE = 'CQ001',
              DETAIL = 'It never was, it has left, or it was silent for so long that its tasks were rescued.',
              HINT = 'Stop the handlers that it runs (their outcomes no longer count) and call '
                     'contentq.register_worker() for a new id.';
END;
$$;

-- Name: FUNCTION raise_not_registered(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.raise_not_registered(worker_id bigint) IS 'Internal: raises CQ001 for this worker, or CQ003 when another login has registered it.';

-- Name: record_failure(bigint, text, text, boolean, interval, boolean); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean DEFAULT true) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    full_message constant text := coalesce(nullif(record_failure.message, ''), 'no message was given');
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
        attempt_errors = CASE WHEN jsonb_array_length(t.attempt_errors) >= 20
                              THEN t.attempt_errors - 0 ELSE t.attempt_errors END
            || jsonb_build_object(
                'attempt', t.attempt,
                'at', clock_timestamp(),
                'worker_id', t.worker_id,
                'error_class', contentq.shorten(record_failure.error_class, 200),
                'message', contentq.shorten(full_message, 1000)
            ),
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = record_failure.id
    RETURNING t.status INTO new_status;
    RETURN new_status;
END;
$$;

-- Name: FUNCTION record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.record_failure(id bigint, message text, error_class text, permanent boolean, delay interval, is_charged boolean) IS 'Internal: applies the retry rules to a failed attempt whose row the caller has locked; returns the new status.';

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
        FROM unnest(record_usage.ids, record_usage.attempts, record_usage.usages) AS r (id, attempt, usage)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id]) AND t.attempt = r.attempt
        WHERE contentq.is_held(t.status, t.worker_id, record_usage.worker_id)
        ORDER BY r.id
        FOR NO KEY UPDATE OF t
    ) AS h;
    IF held_ids IS NOT NULL THEN
        PERFORM contentq.add_usage(held_ids, held_usages);
    END IF;
END;
$$;

-- Name: FUNCTION record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.record_usage(worker_id bigint, ids bigint[], attempts integer[], usages text[]) IS 'Adds what attempts that this worker still holds have cost to the usage of their accounts: JSON objects as text with model, prompt_tokens, completion_tokens and cost. To be called before the report that ends the attempt, in its transaction; complete() and store() do it with the results by themselves.';

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
        OR NEW.attempt_errors <> '[]'
        OR num_nonnulls(
            NEW.content_id, NEW.worker_id, NEW.started_at, NEW.completed_at, NEW.cancel_requested_at,
            NEW.progress, NEW.progress_note, NEW.error_message, NEW.result
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
                CASE WHEN NEW.error_message IS NOT NULL THEN 'error_message' END,
                CASE WHEN NEW.result IS NOT NULL THEN 'result' END,
                CASE WHEN NEW.attempt_errors <> '[]' THEN 'attempt_errors' END
            ],
            NULL
        );
        RAISE EXCEPTION 'a producer may not set % of a new task', array_to_string(forged, ', ')
            USING ERRCODE = 'insufficient_privilege',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = coalesce(forged[1], ''),
                  HINT = 'Leave it out, and it gets its default. A producer may set task_id, account_id, priority, topic, '
                         'keywords, category, requirements, tone, auto_approve, max_retries, submitted_at, scheduled_at '
                         'and timeout_at; submitted_at, created_at and updated_at must be within 5 minutes of the present. '
                         'A role that may UPDATE status may insert anything.';
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
            NULL;  -- the session has drawn none
    END;
    RAISE EXCEPTION 'a producer may not set id of a new task'
        USING ERRCODE = 'insufficient_privilege',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'id',
              HINT = 'Leave it out: it is drawn from a sequence, and INSERT ... RETURNING id tells it. Name a task by '
                     'task_id. A role that may UPDATE status may insert any id.';
END;
$$;

-- Name: FUNCTION refuse_forged_task(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_forged_task() IS 'Trigger: raises insufficient_privilege for a new task with a status, an outcome, a time or an id that is not for a producer to set.';

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
        RAISE EXCEPTION '% has % bytes, and at most % are accepted (contentq.settings.max_text_bytes)',
            written.col, octet_length(written.value), most_bytes
            USING ERRCODE = 'string_data_right_truncation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = written.col,
                  HINT = 'Store large material elsewhere and name its place, or raise the limit: '
                         'UPDATE contentq.settings SET max_text_bytes = ...';
    END LOOP;
    RETURN NEW;
END;
$$;

-- Name: FUNCTION refuse_large_text(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_large_text() IS 'Trigger: raises 22001 for a text of a task that is larger than settings.max_text_bytes.';

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
            THEN format('it was claimed, and attempt is %s, not %s', OLD.attempt, NEW.attempt)
            WHEN OLD.status = 'completed'
            THEN 'it was completed, and the update would forget what it produced'
            ELSE format('attempt %s has ended, and only claim() gives a task to a worker', OLD.attempt)
        END
        USING ERRCODE = 'CQ002',
              TABLE = TG_TABLE_NAME,
              SCHEMA = TG_TABLE_SCHEMA,
              HINT = 'Write only the columns that you change. Django: save(update_fields=[...]); Hibernate: '
                     '@DynamicUpdate. To run a task again, call contentq.requeue(), or set status alone.';
END;
$$;

-- Name: FUNCTION refuse_stale_update(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.refuse_stale_update() IS 'Trigger: raises CQ002 for an UPDATE that writes back a row as it was before the queue changed it.';

-- Name: register_worker(text, integer, integer, text, text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.register_worker(hostname text, pid integer, slots integer, handler text, gate text DEFAULT NULL::text, version text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
    SELECT contentq.warn_of_row_security(), contentq.warn_of_row_security(session_user);

    INSERT INTO contentq.workers (hostname, pid, slots, handler, gate, version)
    VALUES (
        contentq.shorten(register_worker.hostname, 300),
        register_worker.pid,
        register_worker.slots,
        contentq.shorten(register_worker.handler, 300),
        register_worker.gate,
        contentq.shorten(register_worker.version, 300)
    )
    RETURNING id;
$$;

-- Name: FUNCTION register_worker(hostname text, pid integer, slots integer, handler text, gate text, version text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.register_worker(hostname text, pid integer, slots integer, handler text, gate text, version text) IS 'Registers a worker with its number of slots; returns its id. It must call heartbeat() every 2 seconds.';

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

COMMENT ON FUNCTION contentq.release(worker_id bigint, ids bigint[], attempts integer[]) IS 'Puts tasks that this worker holds back to pending, nothing charged; returns the ids that went back.';

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
                format('Worker %s claimed attempt %s and does not know of it: the answer to the claim was lost or too '
                       'large for it, or the outcome could not be reported; %s',
                    release_unknown.worker_id,
                    task.attempt,
                    CASE WHEN NOT task.is_charged THEN 'nothing is charged the first time'
                         WHEN task.retry_count < task.max_retries
                         THEN format('this was retry %s of %s', task.retry_count + 1, task.max_retries)
                         ELSE format('no retry is left, max_retries is %s', task.max_retries) END),
                'ClaimUnheard',
                false,
                CASE WHEN task.is_charged THEN contentq.backoff(task.retry_count) END,
                task.is_charged
            );
            charged := charged + task.is_charged::integer;
        END LOOP;
    END IF;
    RAISE WARNING 'worker %: % of its tasks were released, since it does not know of them (charged a retry: %)',
        release_unknown.worker_id, coalesce(cardinality(locked_ids), 0), charged;
END;
$_$;

-- Name: FUNCTION release_unknown(worker_id bigint, ids bigint[], attempts integer[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.release_unknown(worker_id bigint, ids bigint[], attempts integer[]) IS 'Internal: takes attempts back that a live worker does not know of; a retry is charged from the second time on.';

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

COMMENT ON FUNCTION contentq.report_progress(worker_id bigint, ids bigint[], attempts integer[], fractions real[], notes text[]) IS 'Notes how far tasks are that this worker runs: fractions from 0 to 1 and notes, for people to see in running_tasks. Rows that others have locked are skipped.';

-- Name: requeue(text, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.requeue(task_id text, note text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
#variable_conflict use_column
DECLARE
    new_status text;
BEGIN
    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        retry_count = 0,
        scheduled_at = NULL,
        completed_at = NULL,
        timeout_at = CASE WHEN t.timeout_at > clock_timestamp() THEN t.timeout_at END,
        cancel_requested_at = NULL,
        error_message = coalesce(contentq.shorten(requeue.note, 8000), t.error_message),
        updated_at = CURRENT_TIMESTAMP
    WHERE t.task_id = requeue.task_id
      AND (t.status IN ('failed', 'timeout')
           OR t.status = 'completed'
              AND EXISTS (SELECT
                          FROM public.contents AS c
                          WHERE c.id = t.content_id
                            AND c.account_id + 0 = t.account_id
                            AND c.review_status = 'rejected'))
    RETURNING t.status INTO new_status;
    RETURN new_status;
END;
$$;

-- Name: FUNCTION requeue(task_id text, note text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.requeue(task_id text, note text) IS 'Puts a task back to pending with all its retries when it is failed or timeout, or completed with content that was rejected; note is what the handler finds as the previous error. Returns pending, NULL when it is none of these.';

-- Name: rescue_dead_workers(interval); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.rescue_dead_workers(silence interval DEFAULT '00:00:10'::interval) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT contentq.rescue_silent(clock_timestamp() - rescue_dead_workers.silence);
$$;

-- Name: FUNCTION rescue_dead_workers(silence interval); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.rescue_dead_workers(silence interval) IS 'Puts the tasks of workers that have been silent for longer than this back to pending, one retry charged (failed when none is left; nothing charged when the worker had been told to stop), and removes those workers. At most 1000 tasks a call; returns how many.';

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
    holder_id bigint := -9223372036854775808;
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

    -- Whoever holds tasks is found by one look into the index on the holders for each: their tasks are not read.
    lost := dead;
    LOOP
        SELECT t.worker_id
        INTO holder_id
        FROM public.content_generation_tasks AS t
        WHERE t.status = 'processing'
          AND t.worker_id > holder_id
        ORDER BY t.worker_id
        LIMIT 1;
        EXIT WHEN NOT FOUND OR cardinality(lost) >= 2000;
        IF NOT EXISTS (SELECT FROM contentq.workers AS w WHERE w.id = holder_id) THEN
            lost := lost || holder_id;
        END IF;
    END LOOP;

    FOREACH lost_id IN ARRAY lost LOOP
        SELECT w.* INTO holder FROM contentq.workers AS w WHERE w.id = lost_id;
        who := format('worker %s, %s', lost_id,
                      CASE WHEN holder.id IS NULL THEN 'no longer registered'
                           ELSE format('%s pid %s, silent since %s', holder.hostname, holder.pid,
                                       date_trunc('second', holder.heartbeat_at)) END);
        taken_ids := '{}';
        taken_attempts := '{}';
        FOR task IN
            -- A range and an order that only that index has; = would make any index do. Nor by id as well: that would
            -- read all the tasks of the worker, to sort them.
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
                             THEN format('this was retry %s of %s', task.retry_count + 1, task.max_retries)
                             ELSE format('no retry is left, max_retries is %s', task.max_retries) END),
                    'WorkerDied',
                    false,
                    interval '0'
                );
            END IF;
            taken_ids := taken_ids || task.id::bigint;
            taken_attempts := taken_attempts || task.attempt;
        END LOOP;
        rescued := rescued + cardinality(taken_ids);
        IF holder.id IS NOT NULL OR cardinality(taken_ids) > 0 THEN
            INSERT INTO contentq.dead_workers
                (worker_id, hostname, pid, handler, version, started_at, heartbeat_at, draining, ids, attempts)
            VALUES
                (lost_id, holder.hostname, holder.pid, holder.handler, holder.version, holder.started_at,
                 holder.heartbeat_at, coalesce(holder.draining, false), taken_ids, taken_attempts);
            IF cardinality(taken_ids) > 0 OR idle = 0 THEN
                RAISE WARNING '% of the tasks of a dead worker were taken back (%)%',
                    cardinality(taken_ids),
                    who,
                    CASE WHEN holder.draining THEN '; none is charged, since it had been told to stop' ELSE '' END;
            END IF;
            idle := idle + (taken_ids = '{}')::integer;
        END IF;
    END LOOP;
    IF idle > 1 THEN
        RAISE WARNING 'dead workers that held no tasks, beside the one that is named: %', idle - 1;
    END IF;

    -- Also when some of its tasks could not be had now: should it come back, it must learn that it has lost tasks.
    FOREACH gone IN ARRAY dead LOOP
        PERFORM contentq.forget_worker(gone);
    END LOOP;

    RETURN rescued;
END;
$$;

-- Name: FUNCTION rescue_silent(unheard_since timestamp with time zone); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.rescue_silent(unheard_since timestamp with time zone) IS 'Internal: takes tasks back from workers that were not heard since then; returns how many.';

-- Name: revoked_attempts(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.revoked_attempts(worker_id bigint) RETURNS TABLE(id bigint, attempt integer, is_lost boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
    -- A range and an order that only the index on revoked tasks has; = would make any index do.
    SELECT t.id::bigint, t.attempt, t.status <> 'processing'
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id BETWEEN revoked_attempts.worker_id AND revoked_attempts.worker_id
      AND (t.status <> 'processing' OR t.cancel_requested_at IS NOT NULL)
    ORDER BY t.worker_id
    LIMIT 10000;
$$;

-- Name: FUNCTION revoked_attempts(worker_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.revoked_attempts(worker_id bigint) IS 'Internal: the attempts that a worker should stop, 10,000 at most.';

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
        RAISE EXCEPTION 'row level security needs the roles of contentq, and contentq_worker or contentq_operator is missing'
            USING ERRCODE = 'undefined_object',
                  HINT = 'Run contentq roles apply first.';
    END IF;

    FOR each IN
        SELECT c.oid::regclass AS rel, c.relrowsecurity AS is_on, t.col, s.table_name,
               -- Who sees what, and how: as it is now, to leave alone what is in order.
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
            (5, 'contentq.account_pauses'::regclass, 'account_id'),
            (6, 'contentq.used_up_budgets'::regclass, 'account_id'),
            (7, 'contentq.budget_checks'::regclass, 'account_id'),
            -- Names tasks of all accounts.
            (8, 'contentq.dead_workers'::regclass, NULL),
            (9, 'contentq.account_roles'::regclass, 'role_name')
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
        -- The subqueries are evaluated once a statement, so that an index on the account serves.
        own_rows := CASE each.col
            WHEN 'role_name' THEN 'EXISTS (SELECT FROM pg_catalog.pg_roles AS r '
                                  'WHERE r.rolname = role_name AND pg_catalog.pg_has_role(r.oid, ''USAGE''))'
            ELSE each.col || ' = ANY (ARRAY(SELECT r.account_id FROM contentq.account_roles AS r))'
        END;
        IF own_rows IS NOT NULL THEN
            EXECUTE format('CREATE POLICY contentq_own_accounts ON %s USING (%s)', each.rel, own_rows);
        END IF;
        -- What takes it away again: an older table may have had row level security already.
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

COMMENT ON FUNCTION contentq.set_row_security(enabled boolean) IS 'Turns on, or off, that everyone but owners, workers and operators sees and inserts only what is of the accounts that account_roles gives to their roles; returns how many tables were changed.';

-- Name: shorten(text, integer); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.shorten(message text, max_characters integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN length(shorten.message) > shorten.max_characters
            THEN format('%s ... (cut: %s characters in all)',
                        left(shorten.message, shorten.max_characters), length(shorten.message))
        ELSE shorten.message
    END;
$$;

-- Name: FUNCTION shorten(message text, max_characters integer); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.shorten(message text, max_characters integer) IS 'Internal: the message, cut to max_characters with a note when it is longer.';

-- Name: snooze(bigint, bigint, integer, timestamp with time zone, text); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone, message text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
#variable_conflict use_column
BEGIN
    IF NOT contentq.is_own_worker(snooze.worker_id) THEN
        RETURN false;
    END IF;
    PERFORM contentq.end_cancelled_or_overdue(snooze.worker_id, ARRAY[snooze.id], ARRAY[snooze.attempt]);

    UPDATE public.content_generation_tasks AS t
    SET status = 'pending',
        scheduled_at = CASE WHEN snooze.resume_at > clock_timestamp() THEN snooze.resume_at END,
        error_message = coalesce(contentq.shorten(snooze.message, 8000), t.error_message),
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    WHERE t.id = snooze.id
      AND t.attempt = snooze.attempt
      AND contentq.is_held(t.status, t.worker_id, snooze.worker_id);
    RETURN FOUND;
END;
$$;

-- Name: FUNCTION snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone, message text); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.snooze(worker_id bigint, id bigint, attempt integer, resume_at timestamp with time zone, message text) IS 'Puts a task back to pending until resume_at, no retry charged; returns whether this worker still held it.';

-- Name: spent_this_month(bigint); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.spent_this_month(account_id bigint) RETURNS numeric
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(sum(u.cost), 0)
    FROM contentq.usage AS u
    WHERE u.account_id = spent_this_month.account_id
      AND u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
$$;

-- Name: FUNCTION spent_this_month(account_id bigint); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.spent_this_month(account_id bigint) IS 'What the attempts at an account''s tasks have cost since the first of this month (UTC).';

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
    -- Characters that a title may have; NULL, and so no limit, in a table of the host's that has none.
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
    IF EXISTS (SELECT FROM unnest(store.extras) AS e (extra) WHERE json_typeof(e.extra::json) <> 'object') THEN
        RAISE EXCEPTION 'extras must be JSON objects'
            USING ERRCODE = 'invalid_text_representation';
    END IF;

    -- A task that is named twice gets one content.
    SELECT array_agg(h.id), array_agg(h.place), array_agg(h.word_count), array_agg(h.extra)
    INTO held_ids, places, held_counts, held_extras
    FROM (
        SELECT DISTINCT ON (l.id) l.*
        FROM (
            SELECT t.id, r.place, r.word_count, r.extra
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

    -- The rows are locked, so that what was true of them above still is; the deadline was judged there, once.
    WITH stored AS (
        INSERT INTO public.contents (account_id, title, body, word_count, review_status)
        SELECT t.account_id, coalesce(left(r.title, title_length), r.title), r.body, r.word_count,
               CASE WHEN t.auto_approve THEN 'approved' ELSE 'pending' END
        FROM unnest(store.ids, store.titles, store.bodies, store.word_counts)
            WITH ORDINALITY AS r (id, title, body, word_count, place)
        JOIN public.content_generation_tasks AS t ON t.id = ANY (ARRAY[r.id])
        WHERE r.place = ANY (places)
        ORDER BY r.id
        RETURNING contents.id
    )
    SELECT array_agg(s.id)
    INTO content_ids
    FROM stored AS s;
    IF cardinality(content_ids) <> cardinality(held_ids) THEN
        RAISE EXCEPTION 'a trigger or a rule of table contents has left out content'
            USING ERRCODE = 'triggered_action_exception';
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
        worker_id = NULL,
        updated_at = CURRENT_TIMESTAMP
    FROM unnest(held_ids, content_ids, held_counts, held_extras) AS r (id, content_id, word_count, extra)
    WHERE t.id = ANY (ARRAY[r.id])
    RETURNING t.id::bigint;

    IF EXISTS (SELECT
               FROM unnest(held_extras) AS e (extra)
               WHERE strpos(e.extra, '_tokens"') > 0 OR strpos(e.extra, '"cost"') > 0)
    THEN
        PERFORM contentq.add_usage(held_ids, held_extras);
    END IF;

    IF coalesce(cardinality(held_ids), 0) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

-- Name: FUNCTION store(worker_id bigint, ids bigint[], attempts integer[], titles text[], bodies text[], word_counts integer[], extras text[]); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.store(worker_id bigint, ids bigint[], attempts integer[], titles text[], bodies text[], word_counts integer[], extras text[]) IS 'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the same statement; extras are JSON objects whose members are added to the results. Returns the ids that counted.';

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
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
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

COMMENT ON FUNCTION contentq.sweep_timeouts(max_rows integer) IS 'Ends up to max_rows tasks whose timeout_at has passed: timeout, with the message Task execution timeout when they were running. Returns how many.';

-- Name: touch_updated_at(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.updated_at := CURRENT_TIMESTAMP;
    -- The mark of a worker that lost it earlier, which could otherwise report that attempt after all.
    IF NEW.status = 'processing' AND OLD.status <> 'processing' AND NEW.worker_id = OLD.worker_id THEN
        NEW.worker_id := NULL;
    END IF;
    RETURN NEW;
END;
$$;

-- Name: FUNCTION touch_updated_at(); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.touch_updated_at() IS 'Trigger: sets updated_at to the time of the transaction on every update; a task set to processing by hand belongs to no worker.';

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

COMMENT ON FUNCTION contentq.usage_amount(value jsonb) IS 'Internal: a count or a cost from JSON; 0 for what is none.';

-- Name: wake_workers(); Type: FUNCTION; Schema: contentq; Owner: -

CREATE FUNCTION contentq.wake_workers() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    this_slot constant integer := floor(extract(epoch FROM clock_timestamp()) * 20)::bigint % 1000;
BEGIN
    -- A session can say that it does without: a transaction that has notified cannot be prepared for a two-phase commit.
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

COMMENT ON FUNCTION contentq.wake_workers() IS 'Trigger: notifies channel contentq_ready, without a payload, at the commit of a transaction that has inserted tasks or made some ready; one of several that commit at the same time does it for all.';

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
        RAISE WARNING 'row level security is in force for %: % sees only the rows that a policy gives to it; '
                      'give it a policy for all rows, or BYPASSRLS', secured, login;
    END IF;
END;
$$;

-- Name: FUNCTION warn_of_row_security(login name); Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON FUNCTION contentq.warn_of_row_security(login name) IS 'Internal: raises a warning when row level security keeps rows of the tables from this role.';

-- Name: account_pauses; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.account_pauses (
    account_id bigint NOT NULL,
    paused_until timestamp with time zone NOT NULL
);

-- Name: TABLE account_pauses; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.account_pauses IS 'The accounts that are paused, kept by triggers; read blocked_accounts.';

-- Name: COLUMN account_pauses.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_pauses.account_id IS 'The account.';

-- Name: COLUMN account_pauses.paused_until; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_pauses.paused_until IS 'accounts.paused_until.';

-- Name: account_roles; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.account_roles (
    role_name name NOT NULL,
    account_id bigint NOT NULL
);

-- Name: TABLE account_roles; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.account_roles IS 'Who sees which accounts: with row level security on, a role and its members see and insert what is of these accounts.';

-- Name: COLUMN account_roles.role_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_roles.role_name IS 'A login, or a group of logins.';

-- Name: COLUMN account_roles.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.account_roles.account_id IS 'An account that it may see, and insert tasks for.';

-- Name: accounts; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.accounts (
    id integer NOT NULL,
    name character varying(200) NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    external_id text,
    paused_until timestamp with time zone,
    monthly_budget numeric,
    CONSTRAINT accounts_monthly_budget_check CHECK (((monthly_budget >= (0)::numeric) AND (monthly_budget <> 'NaN'::numeric)))
);

-- Name: TABLE accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.accounts IS 'Whom content is generated for.';

-- Name: COLUMN accounts.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.id IS 'Identifier that tasks and contents refer to.';

-- Name: COLUMN accounts.name; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.name IS 'Name shown to people, up to 200 characters.';

-- Name: COLUMN accounts.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.created_at IS 'When the account was added.';

-- Name: COLUMN accounts.external_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.external_id IS 'What another system calls the account, such as its uuid; unique where set.';

-- Name: COLUMN accounts.paused_until; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.paused_until IS 'No task of the account is claimed before this time; infinity: until it is set to NULL.';

-- Name: COLUMN accounts.monthly_budget; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.accounts.monthly_budget IS 'Cost from which on no further task of the account is claimed in a month (UTC); NULL: no limit.';

-- Name: accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.accounts WITH (security_invoker='true') AS
 SELECT id,
    name,
    created_at,
    external_id,
    paused_until,
    monthly_budget
   FROM public.accounts a;

-- Name: VIEW accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.accounts IS 'Table accounts, whatever schema it is in: the columns that contentq knows; can be read and written like it.';

-- Name: alembic_version; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.alembic_version (
    version_num character varying(32) NOT NULL
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

COMMENT ON VIEW contentq.backlog_by_account IS 'By account: pending, of these scheduled for later, processing, highest waiting priority, age of the oldest.';

-- Name: used_up_budgets; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.used_up_budgets (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    over_budget_until timestamp with time zone NOT NULL
);

-- Name: TABLE used_up_budgets; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.used_up_budgets IS 'The accounts that have used up their budget, sometimes more than once; read blocked_accounts.';

-- Name: COLUMN used_up_budgets.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.used_up_budgets.id IS 'Identifier of the row.';

-- Name: COLUMN used_up_budgets.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.used_up_budgets.account_id IS 'The account.';

-- Name: COLUMN used_up_budgets.over_budget_until; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.used_up_budgets.over_budget_until IS 'The first of the next month (UTC).';

-- Name: blocked_accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.blocked_accounts WITH (security_invoker='true') AS
 SELECT account_id,
    max(paused_until) AS paused_until,
    max(over_budget_until) AS over_budget_until
   FROM ( SELECT p.account_id,
            p.paused_until,
            NULL::timestamp with time zone AS over_budget_until
           FROM contentq.account_pauses p
        UNION ALL
         SELECT u.account_id,
            NULL::timestamp with time zone AS paused_until,
            u.over_budget_until
           FROM contentq.used_up_budgets u) b
  GROUP BY account_id;

-- Name: VIEW blocked_accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.blocked_accounts IS 'Accounts whose tasks are not claimed, until when: paused, and until the first of the next month (UTC) when the budget for this month is used up. Times that are over are removed now and then.';

-- Name: budget_checks; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.budget_checks (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: TABLE budget_checks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.budget_checks IS 'The accounts with a budget that were charged, or whose budget was changed, in the last seconds: maintain() looks at them again, for of what is committed at the same time no one sees the whole.';

-- Name: COLUMN budget_checks.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_checks.id IS 'Identifier of the row.';

-- Name: COLUMN budget_checks.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_checks.account_id IS 'The account.';

-- Name: COLUMN budget_checks.noted_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.budget_checks.noted_at IS 'When it was charged; forgotten after 10 seconds.';

-- Name: budget_checks_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.budget_checks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.budget_checks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: contents; Type: TABLE; Schema: public; Owner: -

CREATE TABLE public.contents (
    id integer NOT NULL,
    account_id integer NOT NULL,
    title character varying(500) NOT NULL,
    body text NOT NULL,
    word_count integer DEFAULT 0 NOT NULL,
    review_status character varying(20) DEFAULT 'pending'::character varying NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    CONSTRAINT contents_review_status_check CHECK (((review_status)::text = ANY ((ARRAY['pending'::character varying, 'approved'::character varying, 'rejected'::character varying])::text[]))),
    CONSTRAINT contents_word_count_check CHECK ((word_count >= 0))
);

-- Name: TABLE contents; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TABLE public.contents IS 'What completed tasks produced: one row a piece of content.';

-- Name: COLUMN contents.id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.id IS 'Identifier that tasks refer to.';

-- Name: COLUMN contents.account_id; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.account_id IS 'The account that it was made for.';

-- Name: COLUMN contents.title; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.title IS 'Title, up to 500 characters.';

-- Name: COLUMN contents.body; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.body IS 'The text itself, in Markdown.';

-- Name: COLUMN contents.word_count; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.word_count IS 'Words in the body; a CJK character counts as one.';

-- Name: COLUMN contents.review_status; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.review_status IS 'pending, approved or rejected; approved at once when the task has auto_approve.';

-- Name: COLUMN contents.created_at; Type: COMMENT; Schema: public; Owner: -

COMMENT ON COLUMN public.contents.created_at IS 'When the content was stored.';

-- Name: contents; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.contents WITH (security_invoker='true') AS
 SELECT id,
    account_id,
    title,
    body,
    word_count,
    review_status,
    created_at
   FROM public.contents c;

-- Name: VIEW contents; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.contents IS 'Table contents, whatever schema it is in: the columns that contentq knows; can be read and written like it.';

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

COMMENT ON TABLE contentq.dead_workers IS 'The workers that were found dead, and the tasks that were taken from them; rows are deleted after settings.retention, or 30 days when that is NULL. See also the view rescued_tasks.';

-- Name: COLUMN dead_workers.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.id IS 'Identifier of the row.';

-- Name: COLUMN dead_workers.found_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.found_at IS 'When its tasks were taken from it.';

-- Name: COLUMN dead_workers.worker_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.worker_id IS 'The id that it was registered with.';

-- Name: COLUMN dead_workers.hostname; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.hostname IS 'The machine it ran on; this and the following are NULL when it was not registered any more.';

-- Name: COLUMN dead_workers.pid; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.pid IS 'Its process id on that machine.';

-- Name: COLUMN dead_workers.handler; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.handler IS 'The handler that it ran.';

-- Name: COLUMN dead_workers.version; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.version IS 'Version of the program.';

-- Name: COLUMN dead_workers.started_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.started_at IS 'When it had registered.';

-- Name: COLUMN dead_workers.heartbeat_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.heartbeat_at IS 'When it was last heard.';

-- Name: COLUMN dead_workers.draining; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.draining IS 'Whether it had been told to stop: then its tasks were not charged a retry.';

-- Name: COLUMN dead_workers.ids; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.ids IS 'The tasks that were taken from it.';

-- Name: COLUMN dead_workers.attempts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.dead_workers.attempts IS 'The attempts at them that were lost, in the same order.';

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

COMMENT ON TABLE contentq.definitions IS 'The functions, views and triggers that contentq migrate has created: by these digests it finds those that were changed since, or that another version of contentq defines otherwise.';

-- Name: COLUMN definitions.kind; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.kind IS 'function, view or trigger.';

-- Name: COLUMN definitions.name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.name IS 'Its name; of a trigger, with the table before it.';

-- Name: COLUMN definitions.source; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.source IS 'MD5 digest of the text that it was created from.';

-- Name: COLUMN definitions.installed; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.definitions.installed IS 'MD5 digest of its definition and comment in the catalogue after that.';

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
    CONSTRAINT workers_busy_check CHECK ((busy >= 0)),
    CONSTRAINT workers_gate_check CHECK ((length(gate) <= 1000)),
    CONSTRAINT workers_heartbeat_at_check CHECK (isfinite(heartbeat_at)),
    CONSTRAINT workers_slots_check CHECK ((slots > 0)),
    CONSTRAINT workers_started_at_check CHECK (isfinite(started_at))
)
WITH (fillfactor='50');

-- Name: TABLE workers; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.workers IS 'The workers that are alive, one row each, updated by their heartbeats; a worker that stops or dies is removed.';

-- Name: COLUMN workers.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.id IS 'Given at registration: a random number, never used twice.';

-- Name: COLUMN workers.hostname; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.hostname IS 'The machine it runs on.';

-- Name: COLUMN workers.pid; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.pid IS 'Its process id on that machine.';

-- Name: COLUMN workers.started_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.started_at IS 'When it registered.';

-- Name: COLUMN workers.heartbeat_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.heartbeat_at IS 'When it was last heard, by the clock of the database.';

-- Name: COLUMN workers.slots; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.slots IS 'How many tasks it runs at once.';

-- Name: COLUMN workers.busy; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.busy IS 'How many tasks it ran at its last heartbeat.';

-- Name: COLUMN workers.handler; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.handler IS 'The handler that it runs.';

-- Name: COLUMN workers.gate; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.gate IS 'Key of the gate that pauses it; NULL when it has none.';

-- Name: COLUMN workers.version; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.version IS 'Version of the program.';

-- Name: COLUMN workers.draining; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.draining IS 'True when it claims no more and is about to leave.';

-- Name: COLUMN workers.login; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.workers.login IS 'The login that registered it: functions refuse calls of any other for this worker.';

-- Name: gate_status; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.gate_status WITH (security_invoker='true') AS
 SELECT g.key,
        CASE
            WHEN (g.opens_at > clock_timestamp()) THEN 'closed'::text
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
        CASE
            WHEN (g.key = '*'::text) THEN ( SELECT count(*) AS count
               FROM contentq.workers)
            ELSE COALESCE(w.workers, (0)::bigint)
        END AS workers,
    date_trunc('second'::text, g.closed_at) AS closed_at,
        CASE
            WHEN (length(g.reason) > 60) THEN ("left"(g.reason, 57) || '...'::text)
            ELSE g.reason
        END AS reason
   FROM (contentq.gates g
     LEFT JOIN ( SELECT c.gate,
            count(*) AS workers
           FROM contentq.workers c
          GROUP BY c.gate) w ON ((w.gate = g.key)))
  ORDER BY (g.opens_at > clock_timestamp()) DESC, g.key;

-- Name: VIEW gate_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.gate_status IS 'Gates, closed ones first: until when (opens_at may be infinity), how many workers have it, when and why it was closed last.';

-- Name: maintenance; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.maintenance (
    only_row boolean DEFAULT true NOT NULL,
    ran_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    watched_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    cleaned_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT maintenance_only_row_check CHECK (only_row)
)
WITH (fillfactor='50');

-- Name: TABLE maintenance; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.maintenance IS 'When the housekeeping of maintain() was done last: one row.';

-- Name: COLUMN maintenance.only_row; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.only_row IS 'Always true: keeps the table at one row.';

-- Name: COLUMN maintenance.ran_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.ran_at IS 'The last call of maintain() that did something.';

-- Name: COLUMN maintenance.watched_since; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.watched_since IS 'Since when such calls have come without a gap; a worker''s silence counts only within that time.';

-- Name: COLUMN maintenance.cleaned_at; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.maintenance.cleaned_at IS 'When the clean-up last found nothing more to delete.';

-- Name: paused_accounts; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.paused_accounts WITH (security_invoker='true') AS
 SELECT h.account_id,
        CASE
            WHEN (length((a.name)::text) > 30) THEN (("left"((a.name)::text, 27) || '...'::text))::character varying
            ELSE a.name
        END AS name,
    concat_ws(', '::text,
        CASE
            WHEN (h.paused_until > clock_timestamp()) THEN 'paused'::text
            ELSE NULL::text
        END,
        CASE
            WHEN (h.over_budget_until > clock_timestamp()) THEN 'budget used up'::text
            ELSE NULL::text
        END) AS why,
    date_trunc('second'::text, GREATEST(h.paused_until, h.over_budget_until)) AS until,
    ( SELECT count(*) AS count
           FROM public.content_generation_tasks t
          WHERE ((t.account_id = h.account_id) AND ((t.status)::text = 'pending'::text))) AS pending
   FROM (contentq.blocked_accounts h
     LEFT JOIN public.accounts a ON ((a.id = h.account_id)))
  WHERE (GREATEST(h.paused_until, h.over_budget_until) > clock_timestamp())
  ORDER BY ( SELECT count(*) AS count
           FROM public.content_generation_tasks t
          WHERE ((t.account_id = h.account_id) AND ((t.status)::text = 'pending'::text))) DESC, h.account_id;

-- Name: VIEW paused_accounts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.paused_accounts IS 'Accounts whose tasks are not claimed now, since they are paused or have used up their monthly budget: until when (infinity: until someone resumes them), and how many tasks wait.';

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

COMMENT ON VIEW contentq.queue_overview IS 'One row a status: tasks, how many of them are scheduled for later or were retried, age of the oldest.';

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

COMMENT ON VIEW contentq.recent_failures IS 'Tasks that ended failed or timeout, latest first; put one back with SELECT contentq.requeue(task_id).';

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

COMMENT ON VIEW contentq.rescued_tasks IS 'Tasks that were taken from dead workers, latest first: when, from whom, whether a retry was charged (not when the worker had been told to stop), and the status of the task now.';

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

COMMENT ON VIEW contentq.running_tasks IS 'Tasks that are processing, longest first, with their worker (NULL when set to processing by hand) and how far they are, as their handlers say.';

-- Name: settings; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.settings (
    only_row boolean DEFAULT true NOT NULL,
    backoff_base interval DEFAULT '00:00:02'::interval NOT NULL,
    backoff_max interval DEFAULT '00:10:00'::interval NOT NULL,
    heartbeat_timeout interval DEFAULT '00:00:10'::interval NOT NULL,
    retention interval DEFAULT '30 days'::interval,
    max_text_bytes integer DEFAULT 1000000 NOT NULL,
    CONSTRAINT settings_backoff_base_check CHECK ((backoff_base > '00:00:00'::interval)),
    CONSTRAINT settings_backoff_max_check CHECK (((backoff_max >= backoff_base) AND (backoff_max <= '10 years'::interval))),
    CONSTRAINT settings_heartbeat_timeout_check CHECK (((heartbeat_timeout >= '00:00:05'::interval) AND (heartbeat_timeout <= '1 day'::interval))),
    CONSTRAINT settings_max_text_bytes_check CHECK ((max_text_bytes >= 100000)),
    CONSTRAINT settings_only_row_check CHECK (only_row),
    CONSTRAINT settings_retention_check CHECK (((retention > '00:00:00'::interval) AND (retention <= '1000 years'::interval)))
);

-- Name: TABLE settings; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.settings IS 'The settings of the queue: one row, changed with UPDATE, in force at once.';

-- Name: COLUMN settings.only_row; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.only_row IS 'Always true: keeps the table at one row.';

-- Name: COLUMN settings.backoff_base; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.backoff_base IS 'Longest delay before the first retry; doubled at each further one.';

-- Name: COLUMN settings.backoff_max; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.backoff_max IS 'Longest delay before any retry.';

-- Name: COLUMN settings.heartbeat_timeout; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.heartbeat_timeout IS 'How long a worker may be silent before its tasks are rescued; at least 5 seconds, since it beats every 2.';

-- Name: COLUMN settings.retention; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.retention IS 'Age at which workers delete completed tasks (their content stays); NULL keeps them for ever.';

-- Name: COLUMN settings.max_text_bytes; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.settings.max_text_bytes IS 'Bytes up to which a text of a task is accepted, in UTF-8: requirements and the others; at least 100000.';

-- Name: silent_commits; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.silent_commits (
    place integer NOT NULL
);

-- Name: TABLE silent_commits; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.silent_commits IS 'Rows that transactions lock which commit tasks and leave it to another one to notify: claims see by it that more tasks are about to be visible.';

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

COMMENT ON TABLE contentq.tables IS 'Where accounts, contents and content_generation_tasks are, and what contentq made of them: only that is dropped by a downgrade.';

-- Name: COLUMN tables.table_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.table_name IS 'accounts, contents or content_generation_tasks.';

-- Name: COLUMN tables.schema_name; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.schema_name IS 'The schema that it is in.';

-- Name: COLUMN tables.is_created; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.is_created IS 'Whether contentq created it; false: it was taken over.';

-- Name: COLUMN tables.added; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.tables.added IS 'Of a table that was taken over: the statements that remove what was added to it; of any, those that remove its row level security.';

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
    progress_note
   FROM public.content_generation_tasks t;

-- Name: VIEW tasks; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.tasks IS 'Table content_generation_tasks, whatever schema it is in; can be read and written like it.';

-- Name: throughput; Type: VIEW; Schema: contentq; Owner: -

CREATE VIEW contentq.throughput WITH (security_invoker='true') AS
 SELECT date_trunc('minute'::text, completed_at) AS minute,
    count(*) AS completed,
    round(((count(*))::numeric / 60.0), 1) AS per_second,
    round(avg((EXTRACT(epoch FROM started_at) - EXTRACT(epoch FROM submitted_at))), 2) AS wait_s,
    round(avg((EXTRACT(epoch FROM completed_at) - EXTRACT(epoch FROM started_at))), 2) AS run_s
   FROM public.content_generation_tasks t
  WHERE (((status)::text = 'completed'::text) AND (completed_at > (clock_timestamp() - '01:00:00'::interval)) AND (completed_at <= clock_timestamp()))
  GROUP BY (date_trunc('minute'::text, completed_at))
  ORDER BY (date_trunc('minute'::text, completed_at)) DESC;

-- Name: VIEW throughput; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.throughput IS 'Completed tasks by minute over the last hour, with mean seconds waiting and in the latest attempt.';

-- Name: usage; Type: TABLE; Schema: contentq; Owner: -

CREATE TABLE contentq.usage (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    day date NOT NULL,
    model text NOT NULL,
    attempts bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    CONSTRAINT usage_attempts_check CHECK ((attempts > 0)),
    CONSTRAINT usage_completion_tokens_check CHECK ((completion_tokens >= 0)),
    CONSTRAINT usage_cost_check CHECK (((cost >= (0)::numeric) AND (cost < 'Infinity'::numeric))),
    CONSTRAINT usage_day_check CHECK (isfinite(day)),
    CONSTRAINT usage_prompt_tokens_check CHECK ((prompt_tokens >= 0))
)
WITH (fillfactor='50');

-- Name: TABLE usage; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON TABLE contentq.usage IS 'What attempts have cost, by account, day and model: as many rows of each as were reported at once, to be summed, so that no report waits for another. It outlives the tasks.';

-- Name: COLUMN usage.id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.id IS 'Identifier of the row.';

-- Name: COLUMN usage.account_id; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.account_id IS 'The account of the tasks.';

-- Name: COLUMN usage.day; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.day IS 'The day (UTC) on which it was reported.';

-- Name: COLUMN usage.model; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.model IS 'The model, as the handler named it; unknown when it did not.';

-- Name: COLUMN usage.attempts; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.attempts IS 'Attempts that have cost something, failed ones included.';

-- Name: COLUMN usage.prompt_tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.prompt_tokens IS 'Tokens that went in.';

-- Name: COLUMN usage.completion_tokens; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.completion_tokens IS 'Tokens that came out.';

-- Name: COLUMN usage.cost; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON COLUMN contentq.usage.cost IS 'In the currency of the handler''s prices.';

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
    COALESCE(u.cost, (0)::numeric) AS cost,
    a.monthly_budget,
    round((((100)::numeric * COALESCE(u.cost, (0)::numeric)) / NULLIF(a.monthly_budget, (0)::numeric)), 1) AS used_percent,
    COALESCE((h.over_budget_until > clock_timestamp()), false) AS used_up
   FROM ((public.accounts a
     LEFT JOIN ( SELECT e.account_id,
            sum(e.attempts) AS attempts,
            sum(e.prompt_tokens) AS prompt_tokens,
            sum(e.completion_tokens) AS completion_tokens,
            round(sum(e.cost), 6) AS cost
           FROM contentq.usage e
          WHERE (e.day >= (date_trunc('month'::text, (clock_timestamp() AT TIME ZONE 'UTC'::text)))::date)
          GROUP BY e.account_id) u ON ((u.account_id = a.id)))
     LEFT JOIN contentq.blocked_accounts h ON ((h.account_id = a.id)))
  WHERE ((u.account_id IS NOT NULL) OR (a.monthly_budget IS NOT NULL))
  ORDER BY COALESCE(u.cost, (0)::numeric) DESC, a.id;

-- Name: VIEW usage_by_account; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.usage_by_account IS 'By account, since the first of this month (UTC): attempts that were charged, tokens, cost, monthly budget, and whether it is used up, so that nothing more is claimed.';

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

COMMENT ON VIEW contentq.usage_by_day IS 'By day (UTC), the last 31: attempts that were charged, tokens, cost, accounts.';

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

COMMENT ON VIEW contentq.usage_by_model IS 'By model, since the first of this month (UTC): attempts that were charged, tokens, cost.';

-- Name: usage_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.usage ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.usage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: used_up_budgets_id_seq; Type: SEQUENCE; Schema: contentq; Owner: -

ALTER TABLE contentq.used_up_budgets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME contentq.used_up_budgets_id_seq
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

COMMENT ON TABLE contentq.wakeups IS 'A row for each twentieth of a second, again and again: of the transactions that submit tasks and commit at the same time, the one that has locked it notifies the workers for all.';

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
            WHEN (held.busy > 0) THEN 'working'::text
            ELSE 'idle'::text
        END AS state,
    held.busy,
    w.slots,
    round(EXTRACT(epoch FROM (clock_timestamp() - w.heartbeat_at)), 1) AS heartbeat_age_s,
    date_trunc('second'::text, (clock_timestamp() - w.started_at)) AS up,
        CASE
            WHEN (length(w.handler) > 30) THEN ("left"(w.handler, 27) || '...'::text)
            ELSE w.handler
        END AS handler,
    w.version,
    w.gate,
    held.locked
   FROM ((contentq.workers w
     CROSS JOIN contentq.settings s)
     CROSS JOIN LATERAL ( SELECT (count(*))::integer AS busy,
            (count(l.transactionid))::integer AS locked
           FROM (public.content_generation_tasks t
             LEFT JOIN ( SELECT DISTINCT o.transactionid
                   FROM pg_locks o
                  WHERE ((o.locktype = 'transactionid'::text) AND o.granted)) l ON ((l.transactionid = t.xmax)))
          WHERE ((t.worker_id = w.id) AND ((t.status)::text = 'processing'::text))) held)
  ORDER BY w.started_at, w.id;

-- Name: VIEW worker_status; Type: COMMENT; Schema: contentq; Owner: -

COMMENT ON VIEW contentq.worker_status IS 'Registered workers: idle, working, full, draining or silent; busy of slots, by the tasks held; seconds since the last heartbeat; locked: its tasks whose row another session has locked now, so that they cannot be reported.';

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

-- Name: account_pauses account_pauses_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.account_pauses
    ADD CONSTRAINT account_pauses_pkey PRIMARY KEY (account_id);

-- Name: account_roles account_roles_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.account_roles
    ADD CONSTRAINT account_roles_pkey PRIMARY KEY (role_name, account_id);

-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

-- Name: budget_checks budget_checks_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.budget_checks
    ADD CONSTRAINT budget_checks_pkey PRIMARY KEY (id);

-- Name: dead_workers dead_workers_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.dead_workers
    ADD CONSTRAINT dead_workers_pkey PRIMARY KEY (id);

-- Name: definitions definitions_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.definitions
    ADD CONSTRAINT definitions_pkey PRIMARY KEY (kind, name);

-- Name: gates gates_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.gates
    ADD CONSTRAINT gates_pkey PRIMARY KEY (key);

-- Name: maintenance maintenance_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.maintenance
    ADD CONSTRAINT maintenance_pkey PRIMARY KEY (only_row);

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

-- Name: used_up_budgets used_up_budgets_pkey; Type: CONSTRAINT; Schema: contentq; Owner: -

ALTER TABLE ONLY contentq.used_up_budgets
    ADD CONSTRAINT used_up_budgets_pkey PRIMARY KEY (id);

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

-- Name: budget_checks_account_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX budget_checks_account_id_idx ON contentq.budget_checks USING btree (account_id);

-- Name: dead_workers_found_at_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX dead_workers_found_at_idx ON contentq.dead_workers USING btree (found_at);

-- Name: usage_account_id_day_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX usage_account_id_day_idx ON contentq.usage USING btree (account_id, day, model);

-- Name: usage_day_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX usage_day_idx ON contentq.usage USING btree (day);

-- Name: used_up_budgets_account_id_idx; Type: INDEX; Schema: contentq; Owner: -

CREATE INDEX used_up_budgets_account_id_idx ON contentq.used_up_budgets USING btree (account_id);

-- Name: content_generation_tasks_account_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_account_id_idx ON public.content_generation_tasks USING btree (account_id);

-- Name: content_generation_tasks_completed_at_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_completed_at_idx ON public.content_generation_tasks USING btree (completed_at) WHERE ((status)::text = 'completed'::text);

-- Name: content_generation_tasks_content_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_content_id_idx ON public.content_generation_tasks USING btree (content_id) WHERE (content_id IS NOT NULL);

-- Name: content_generation_tasks_deadline_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_deadline_idx ON public.content_generation_tasks USING btree (timeout_at) WHERE ((timeout_at IS NOT NULL) AND ((status)::text = ANY ((ARRAY['pending'::character varying, 'processing'::character varying])::text[])));

-- Name: content_generation_tasks_held_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_held_idx ON public.content_generation_tasks USING btree (worker_id) WHERE (((status)::text = 'processing'::text) AND (worker_id IS NOT NULL));

-- Name: content_generation_tasks_ready_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_ready_idx ON public.content_generation_tasks USING btree (priority DESC, submitted_at, id) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NULL));

-- Name: content_generation_tasks_revoked_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_revoked_idx ON public.content_generation_tasks USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (((status)::text <> 'processing'::text) OR (cancel_requested_at IS NOT NULL)));

-- Name: content_generation_tasks_scheduled_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_scheduled_idx ON public.content_generation_tasks USING btree (scheduled_at) WHERE (((status)::text = 'pending'::text) AND (scheduled_at IS NOT NULL));

-- Name: content_generation_tasks_status_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_status_idx ON public.content_generation_tasks USING btree (status);

-- Name: content_generation_tasks_submitted_at_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX content_generation_tasks_submitted_at_idx ON public.content_generation_tasks USING btree (submitted_at);

-- Name: contents_account_id_idx; Type: INDEX; Schema: public; Owner: -

CREATE INDEX contents_account_id_idx ON public.contents USING btree (account_id);

-- Name: accounts accounts_blocked_delete; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER accounts_blocked_delete AFTER DELETE ON public.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((old.paused_until IS NOT NULL) OR (old.monthly_budget IS NOT NULL))) EXECUTE FUNCTION contentq.account_changed();

-- Name: TRIGGER accounts_blocked_delete ON accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER accounts_blocked_delete ON public.accounts IS 'Makes claims forget an account that is gone.';

-- Name: accounts accounts_blocked_insert; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER accounts_blocked_insert AFTER INSERT ON public.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.paused_until IS NOT NULL) OR (new.monthly_budget IS NOT NULL))) EXECUTE FUNCTION contentq.account_changed();

-- Name: TRIGGER accounts_blocked_insert ON accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER accounts_blocked_insert ON public.accounts IS 'Tells claims of an account that is added with a pause or a budget.';

-- Name: accounts accounts_blocked_truncate; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER accounts_blocked_truncate AFTER TRUNCATE ON public.accounts FOR EACH STATEMENT EXECUTE FUNCTION contentq.account_changed();

-- Name: TRIGGER accounts_blocked_truncate ON accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER accounts_blocked_truncate ON public.accounts IS 'Makes claims forget all accounts when all are gone.';

-- Name: accounts accounts_blocked_update; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER accounts_blocked_update AFTER UPDATE ON public.accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((old.paused_until IS DISTINCT FROM new.paused_until) OR (old.monthly_budget IS DISTINCT FROM new.monthly_budget) OR ((old.id <> new.id) AND (num_nonnulls(old.paused_until, old.monthly_budget) > 0)))) EXECUTE FUNCTION contentq.account_changed();

-- Name: TRIGGER accounts_blocked_update ON accounts; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER accounts_blocked_update ON public.accounts IS 'Tells claims of a pause or a budget that was set, changed or removed.';

-- Name: content_generation_tasks content_generation_tasks_forged; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_forged BEFORE INSERT ON public.content_generation_tasks FOR EACH ROW WHEN ((NOT has_column_privilege(('public.content_generation_tasks'::regclass)::oid, 'status'::text, 'UPDATE'::text))) EXECUTE FUNCTION contentq.refuse_forged_task();

-- Name: TRIGGER content_generation_tasks_forged ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_forged ON public.content_generation_tasks IS 'Refuses new tasks with forged state or ids, of roles that may insert tasks and not update their status.';

-- Name: content_generation_tasks content_generation_tasks_size; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_size BEFORE INSERT OR UPDATE OF task_id, topic, keywords, category, requirements, tone, error_message, progress_note ON public.content_generation_tasks FOR EACH ROW WHEN ((octet_length(concat(new.task_id, new.topic, new.keywords, new.category, new.requirements, new.tone, new.error_message, new.progress_note)) > 100000)) EXECUTE FUNCTION contentq.refuse_large_text();

-- Name: TRIGGER content_generation_tasks_size ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_size ON public.content_generation_tasks IS 'Refuses texts that are larger than settings.max_text_bytes.';

-- Name: content_generation_tasks content_generation_tasks_stale; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_stale BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN (((new.attempt < old.attempt) OR ((new.attempt = old.attempt) AND (new.worker_id IS DISTINCT FROM old.worker_id) AND (new.worker_id IS NOT NULL)) OR (((old.status)::text = 'completed'::text) AND ((new.status)::text <> 'completed'::text) AND (((new.content_id IS NULL) AND (old.content_id IS NOT NULL)) OR ((new.result IS NULL) AND (old.result IS NOT NULL)))))) EXECUTE FUNCTION contentq.refuse_stale_update();

-- Name: TRIGGER content_generation_tasks_stale ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_stale ON public.content_generation_tasks IS 'Refuses updates that write back a row as it was before it was claimed or completed.';

-- Name: content_generation_tasks content_generation_tasks_touch; Type: TRIGGER; Schema: public; Owner: -

CREATE TRIGGER content_generation_tasks_touch BEFORE UPDATE ON public.content_generation_tasks FOR EACH ROW WHEN ((new.updated_at IS DISTINCT FROM CURRENT_TIMESTAMP)) EXECUTE FUNCTION contentq.touch_updated_at();

-- Name: TRIGGER content_generation_tasks_touch ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_touch ON public.content_generation_tasks IS 'Keeps updated_at on every update; skipped when the statement has set it to CURRENT_TIMESTAMP itself.';

-- Name: content_generation_tasks content_generation_tasks_wake; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_wake AFTER INSERT ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((new.status)::text = 'pending'::text) AND (current_setting('contentq.has_woken'::text, true) IS DISTINCT FROM 'yes'::text) AND (set_config('contentq.has_woken'::text, 'yes'::text, true) = 'yes'::text))) EXECUTE FUNCTION contentq.wake_workers();

-- Name: TRIGGER content_generation_tasks_wake ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_wake ON public.content_generation_tasks IS 'Wakes idle workers, once a transaction that has inserted tasks, at its commit.';

-- Name: content_generation_tasks content_generation_tasks_wake_again; Type: TRIGGER; Schema: public; Owner: -

CREATE CONSTRAINT TRIGGER content_generation_tasks_wake_again AFTER UPDATE ON public.content_generation_tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((new.status)::text = 'pending'::text) AND (((old.status)::text <> 'pending'::text) OR (old.scheduled_at > clock_timestamp())) AND COALESCE((new.scheduled_at <= clock_timestamp()), true) AND (current_setting('contentq.has_woken'::text, true) IS DISTINCT FROM 'yes'::text) AND (set_config('contentq.has_woken'::text, 'yes'::text, true) = 'yes'::text))) EXECUTE FUNCTION contentq.wake_workers();

-- Name: TRIGGER content_generation_tasks_wake_again ON content_generation_tasks; Type: COMMENT; Schema: public; Owner: -

COMMENT ON TRIGGER content_generation_tasks_wake_again ON public.content_generation_tasks IS 'Wakes idle workers, once a transaction that has made tasks ready, at its commit.';

-- Name: content_generation_tasks content_generation_tasks_account_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

-- Name: content_generation_tasks content_generation_tasks_content_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.content_generation_tasks
    ADD CONSTRAINT content_generation_tasks_content_id_fkey FOREIGN KEY (content_id) REFERENCES public.contents(id) ON DELETE SET NULL;

-- Name: contents contents_account_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -

ALTER TABLE ONLY public.contents
    ADD CONSTRAINT contents_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
