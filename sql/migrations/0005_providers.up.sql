-- 0005: gates, which stop every worker of a provider at once; usage and budgets; progress; why a task is not running.

CREATE TABLE contentq.owned_columns (
    table_name text NOT NULL,
    column_name text NOT NULL,
    CONSTRAINT owned_columns_pkey PRIMARY KEY (table_name, column_name)
);

COMMENT ON TABLE contentq.owned_columns IS
    'The columns that contentq added to tables of public after their creation; only these are dropped by a downgrade.';
COMMENT ON COLUMN contentq.owned_columns.table_name IS 'Name of a table in schema public.';
COMMENT ON COLUMN contentq.owned_columns.column_name IS 'Name of one of its columns.';

CREATE TABLE contentq.gates (
    key text NOT NULL,
    opens_at timestamptz NOT NULL,
    reason text,
    half_open boolean NOT NULL DEFAULT false,
    closed_at timestamptz NOT NULL,
    closed_by text,
    CONSTRAINT gates_pkey PRIMARY KEY (key),
    CONSTRAINT gates_key_check CHECK (key <> '')
);

COMMENT ON TABLE contentq.gates IS
    'Every gate that was ever closed: while opens_at is to come, no worker that was registered with it claims anything.';
COMMENT ON COLUMN contentq.gates.key IS 'What workers register with, such as a provider''s host; * is every worker''s.';
COMMENT ON COLUMN contentq.gates.opens_at IS 'When it opens again; infinity: when someone calls open_gate().';
COMMENT ON COLUMN contentq.gates.reason IS 'Why it was closed the last time, up to 500 characters.';
COMMENT ON COLUMN contentq.gates.half_open IS 'Whether each worker is to begin again with a single task.';
COMMENT ON COLUMN contentq.gates.closed_at IS 'When it was closed the last time.';
COMMENT ON COLUMN contentq.gates.closed_by IS 'Who closed it: user, program, address.';

CREATE TABLE contentq.blocked_accounts (
    account_id integer NOT NULL,
    paused_until timestamptz,
    over_budget_until timestamptz,
    CONSTRAINT blocked_accounts_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE contentq.blocked_accounts IS
    'The accounts whose tasks are not claimed now, kept by triggers: a few rows, which every claim reads.';
COMMENT ON COLUMN contentq.blocked_accounts.account_id IS 'The account.';
COMMENT ON COLUMN contentq.blocked_accounts.paused_until IS 'accounts.paused_until.';
COMMENT ON COLUMN contentq.blocked_accounts.over_budget_until IS
    'The first of the next month (UTC), when its budget for this month is used up.';

CREATE TABLE contentq.usage (
    account_id integer NOT NULL,
    day date NOT NULL,
    model text NOT NULL,
    part smallint NOT NULL,
    attempts bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost numeric NOT NULL,
    CONSTRAINT usage_pkey PRIMARY KEY (account_id, day, model, part)
) WITH (fillfactor = 50);

CREATE INDEX usage_day_idx ON contentq.usage (day);

COMMENT ON TABLE contentq.usage IS
    'What attempts have cost, by account, day, model, and one of sixteen parts so that workers do not wait for one '
    'another. It outlives the tasks.';
COMMENT ON COLUMN contentq.usage.account_id IS 'The account of the tasks.';
COMMENT ON COLUMN contentq.usage.day IS 'The day (UTC) on which it was reported.';
COMMENT ON COLUMN contentq.usage.model IS 'The model, as the handler named it; unknown when it did not.';
COMMENT ON COLUMN contentq.usage.part IS 'Id of the reporting worker modulo 16.';
COMMENT ON COLUMN contentq.usage.attempts IS 'Attempts that have cost something, failed ones included.';
COMMENT ON COLUMN contentq.usage.prompt_tokens IS 'Tokens that went in.';
COMMENT ON COLUMN contentq.usage.completion_tokens IS 'Tokens that came out.';
COMMENT ON COLUMN contentq.usage.cost IS 'In the currency of the handler''s prices.';

ALTER TABLE public.content_generation_tasks
    ADD COLUMN progress real,
    ADD COLUMN progress_note text;

COMMENT ON COLUMN public.content_generation_tasks.progress IS
    'How far the latest attempt is, from 0 to 1, as its handler says; NULL when it does not.';
COMMENT ON COLUMN public.content_generation_tasks.progress_note IS
    'What the handler of the latest attempt says of its progress.';

-- An accounts table that was there before contentq may have columns of these names; they are used when they fit.
DO $$
DECLARE
    needed record;
    found_type text;
BEGIN
    FOR needed IN
        SELECT *
        FROM (VALUES
            ('paused_until', 'timestamp with time zone',
             'No task of the account is claimed before this time; infinity: until it is set to NULL.', ''),
            ('monthly_budget', 'numeric',
             'Cost from which on no further task of the account is claimed in a month (UTC); NULL: no limit.',
             'CONSTRAINT accounts_monthly_budget_check CHECK (monthly_budget >= 0 AND monthly_budget <> ''NaN'')')
        ) AS n (column_name, type, meaning, rule)
    LOOP
        SELECT format_type(a.atttypid, NULL)
        INTO found_type
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.accounts'::regclass
          AND a.attname = needed.column_name
          AND NOT a.attisdropped;
        IF found_type IS NULL THEN
            EXECUTE format('ALTER TABLE public.accounts ADD COLUMN %I %s %s',
                           needed.column_name, needed.type, needed.rule);
            EXECUTE format('COMMENT ON COLUMN public.accounts.%I IS %L', needed.column_name, needed.meaning);
            INSERT INTO contentq.owned_columns VALUES ('accounts', needed.column_name);
        ELSIF found_type <> needed.type THEN
            RAISE EXCEPTION 'a table that is there already does not fit: accounts.% must be %, not %',
                            needed.column_name, needed.type, found_type
                USING ERRCODE = 'CQ010',
                      HINT = 'Rename the column; contentq then adds its own.';
        END IF;
    END LOOP;
END;
$$;

-- Reads a count or a cost from JSON that anyone may have written.
-- Called by: record_usage(). Locks: nothing.
-- Returns: the number; 0 when it is missing, no number, negative, or more than a trillion.
CREATE OR REPLACE FUNCTION contentq.usage_amount(value jsonb)
RETURNS numeric
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN jsonb_typeof(usage_amount.value) = 'number' AND usage_amount.value::numeric BETWEEN 0 AND 1e12
        THEN usage_amount.value::numeric
        ELSE 0
    END;
$$;

COMMENT ON FUNCTION contentq.usage_amount(jsonb) IS
    'Internal: a count or a cost from JSON; 0 for what is none.';

-- Sums what an account's attempts have cost since the first of the month (UTC).
-- Called by: block_account(), explain(), the view usage_by_account. Locks: nothing. Returns: the cost, 0 for none.
CREATE OR REPLACE FUNCTION contentq.spent_this_month(account_id integer)
RETURNS numeric
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(u.cost), 0)
    FROM contentq.usage AS u
    WHERE u.account_id = spent_this_month.account_id
      AND u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
$$;

COMMENT ON FUNCTION contentq.spent_this_month(integer) IS
    'What the attempts at an account''s tasks have cost since the first of this month (UTC).';

-- Closes a gate: until opens_at no worker that was registered with it claims anything. What runs goes on.
-- Called by: workers, when a provider refuses calls or does not answer; operators.
-- Locks: the gate's row. Returns: the time until which the gate is closed now.
-- A gate that is closed for longer already stays so: a short refusal ends no pause of an operator's.
-- The gate * is every worker's, also of those that have none of their own. opens_at may be infinity.
-- half_open: when it opens again, each worker is to try one task and to go on only when that went well.
-- Claims look at the gates themselves; the notification only makes idle workers see it earlier.
-- Raises: 22004 when the key or the time is missing.
CREATE OR REPLACE FUNCTION contentq.close_gate(
    key text,
    opens_at timestamptz,
    reason text DEFAULT NULL,
    half_open boolean DEFAULT false
)
RETURNS timestamptz
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    closed_until timestamptz;
BEGIN
    IF coalesce(close_gate.key, '') = '' OR close_gate.opens_at IS NULL THEN
        RAISE EXCEPTION 'a gate is closed by its key and the time at which it opens again'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'For a pause without an end, close it until ''infinity''; contentq.open_gate() opens it.';
    END IF;
    INSERT INTO contentq.gates AS g (key, opens_at, reason, half_open, closed_at, closed_by)
    VALUES (
        close_gate.key,
        close_gate.opens_at,
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

COMMENT ON FUNCTION contentq.close_gate(text, timestamptz, text, boolean) IS
    'Closes a gate until opens_at (infinity: until it is opened): no worker registered with it claims; the gate * '
    'is every worker''s. One that is closed for longer stays so. half_open: each worker then begins with one task. '
    'Returns until when it is closed.';

-- Opens a gate before its time.
-- Called by: operators. Locks: the gate's row. Returns: whether it was closed.
CREATE OR REPLACE FUNCTION contentq.open_gate(key text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
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

COMMENT ON FUNCTION contentq.open_gate(text) IS
    'Opens a gate before its time; returns whether it was closed.';

-- Brings blocked_accounts up to date for one account: whether claims leave it out, and until when.
-- Called by: account_changed() and record_usage(). Locks: the account's row in blocked_accounts.
-- Returns: nothing. Without a pause and with money left in its budget, an account is not held.
CREATE OR REPLACE FUNCTION contentq.block_account(account_id integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    paused_until timestamptz;
    monthly_budget numeric;
    over_budget_until timestamptz;
BEGIN
    SELECT a.paused_until, a.monthly_budget
    INTO paused_until, monthly_budget
    FROM public.accounts AS a
    WHERE a.id = block_account.account_id;
    IF contentq.spent_this_month(block_account.account_id) >= monthly_budget THEN
        over_budget_until := (date_trunc('month', now_ AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    END IF;
    IF greatest(paused_until, over_budget_until) > now_ THEN
        INSERT INTO contentq.blocked_accounts AS h (account_id, paused_until, over_budget_until)
        VALUES (block_account.account_id, paused_until, over_budget_until)
        ON CONFLICT ON CONSTRAINT blocked_accounts_pkey DO UPDATE
        SET paused_until = excluded.paused_until,
            over_budget_until = excluded.over_budget_until
        WHERE (h.paused_until, h.over_budget_until) IS DISTINCT FROM (excluded.paused_until, excluded.over_budget_until);
    ELSE
        DELETE FROM contentq.blocked_accounts AS h WHERE h.account_id = block_account.account_id;
        IF FOUND THEN
            PERFORM contentq.notify_ready();
        END IF;
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.block_account(integer) IS
    'Internal: notes whether claims leave an account out, because it is paused or has used up its monthly budget.';

-- Keeps blocked_accounts, which claims read, in step with the pauses and budgets in accounts.
-- Called by: the triggers accounts_held_… of accounts, at the commit, so that an operator's open transaction keeps no
--            worker from reporting; only when a pause or a budget was set, changed or removed, so that programs that
--            change other columns need no right on schema contentq.
-- Locks: as block_account(). Returns: NULL (it is ignored).
CREATE OR REPLACE FUNCTION contentq.account_changed()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM contentq.blocked_accounts;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM contentq.block_account(OLD.id::integer);
    END IF;
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.id <> OLD.id THEN
        PERFORM contentq.block_account(NEW.id::integer);
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION contentq.account_changed() IS
    'Trigger: makes claims leave out accounts that are paused or have used up their budget.';

-- Adds what attempts have cost to the usage of their accounts.
-- Called by: complete() and store(), with the results; workers, in one statement with fail() and snooze(), for
--            attempts that have cost something all the same.
-- Each usage is a JSON object as text; of its members model (text), prompt_tokens, completion_tokens and cost
-- (numbers) count, and one that has neither tokens nor a cost counts for nothing.
-- Locks: rows of usage in the order of their key. Each worker has a part of its own, one of sixteen, so that workers
--        do not wait for one another. Then, for accounts with a budget, one of 256 advisory locks each, in their order
--        and until the end of the transaction, so that of two reports at once the second sees what the first has spent.
-- Returns: nothing. Days begin at midnight UTC.
CREATE OR REPLACE FUNCTION contentq.record_usage(worker_id bigint, ids integer[], usages text[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    charged integer[];
    charged_account integer;
BEGIN
    WITH added AS (
        INSERT INTO contentq.usage AS u
            (account_id, day, model, part, attempts, prompt_tokens, completion_tokens, cost)
        SELECT s.account_id,
               (clock_timestamp() AT TIME ZONE 'UTC')::date,
               s.model,
               coalesce(record_usage.worker_id, 0) % 16,
               count(*),
               sum(s.prompt_tokens),
               sum(s.completion_tokens),
               sum(s.cost)
        FROM (
            SELECT t.account_id,
                   coalesce(nullif(left(r.usage->>'model', 200), ''), 'unknown') AS model,
                   trunc(contentq.usage_amount(r.usage->'prompt_tokens')) AS prompt_tokens,
                   trunc(contentq.usage_amount(r.usage->'completion_tokens')) AS completion_tokens,
                   contentq.usage_amount(r.usage->'cost') AS cost
            FROM (
                SELECT n.id, n.usage::jsonb AS usage
                FROM unnest(record_usage.ids, record_usage.usages) AS n (id, usage)
                WHERE n.usage IS NOT NULL
            ) AS r
            JOIN public.content_generation_tasks AS t ON t.id = r.id
            WHERE jsonb_typeof(r.usage) = 'object'
        ) AS s
        WHERE s.prompt_tokens > 0 OR s.completion_tokens > 0 OR s.cost > 0
        GROUP BY s.account_id, s.model
        ORDER BY s.account_id, s.model
        ON CONFLICT ON CONSTRAINT usage_pkey DO UPDATE
        SET attempts = u.attempts + excluded.attempts,
            prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = u.completion_tokens + excluded.completion_tokens,
            cost = u.cost + excluded.cost
        RETURNING u.account_id
    )
    SELECT array_agg(a.account_id) INTO charged FROM added AS a;

    IF charged IS NULL THEN
        RETURN;
    END IF;
    charged := ARRAY(
        SELECT a.id
        FROM public.accounts AS a
        WHERE a.id = ANY (charged)
          AND a.monthly_budget IS NOT NULL
        ORDER BY a.id
    );
    PERFORM pg_advisory_xact_lock(hashtextextended('contentq.budget', l.number))
    FROM (
        SELECT DISTINCT c.id % 256 AS number
        FROM unnest(charged) AS c (id)
        ORDER BY number
        OFFSET 0
    ) AS l;
    FOREACH charged_account IN ARRAY charged LOOP
        PERFORM contentq.block_account(charged_account);
    END LOOP;
END;
$$;

COMMENT ON FUNCTION contentq.record_usage(bigint, integer[], text[]) IS
    'Adds what attempts at these tasks have cost to the usage of their accounts: JSON objects as text with model, '
    'prompt_tokens, completion_tokens and cost. complete() and store() do it with the results by themselves.';

-- Notes how far tasks are that a worker runs.
-- Called by: workers, once a second at most for all that has changed.
-- Locks: the tasks, in id order, skipping those that others hold (so it never waits): progress can be missed.
-- Returns: nothing. A fraction is from 0 to 1; what is NULL, or not a number, stays as it was. A task whose
--          (worker, attempt) no longer holds is left alone. No index has these columns: the update is a heap-only one
--          wherever the row's page has room for it.
-- For the coalesce see complete().
CREATE OR REPLACE FUNCTION contentq.report_progress(
    worker_id bigint,
    ids integer[],
    attempts integer[],
    fractions real[],
    notes text[] DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    WITH reported AS MATERIALIZED (
        SELECT t.id, r.fraction, r.note
        FROM unnest(report_progress.ids, report_progress.attempts, report_progress.fractions, report_progress.notes)
            AS r (id, attempt, fraction, note)
        JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
        WHERE coalesce(t.status = 'processing' AND t.worker_id = report_progress.worker_id, false)
        ORDER BY t.id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE public.content_generation_tasks AS t
    SET progress = CASE WHEN r.fraction < 'NaN' THEN least(greatest(r.fraction, 0), 1) ELSE t.progress END,
        progress_note = coalesce(contentq.shorten(r.note, 500), t.progress_note),
        updated_at = CURRENT_TIMESTAMP
    FROM reported AS r
    WHERE t.id = r.id;
END;
$$;

COMMENT ON FUNCTION contentq.report_progress(bigint, integer[], integer[], real[], text[]) IS
    'Notes how far tasks are that this worker runs: fractions from 0 to 1 and notes, for people to see in '
    'running_tasks. Rows that others have locked are skipped.';

-- Says until when a gate is closed and why, for a sentence that names the gate.
-- Called by: explain(). Locks: nothing. Returns: " until …: reason".
CREATE OR REPLACE FUNCTION contentq.gate_closure_text(gate contentq.gates)
RETURNS text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
               WHEN gate_closure_text.gate.opens_at = 'infinity'
               THEN format(', until someone opens it: SELECT contentq.open_gate(%L)', gate_closure_text.gate.key)
               ELSE format(' until %s', date_trunc('second', gate_closure_text.gate.opens_at))
           END
           || coalesce('; the reason: ' || gate_closure_text.gate.reason, '');
$$;

COMMENT ON FUNCTION contentq.gate_closure_text(contentq.gates) IS
    'Internal: until when a gate is closed and why, in words.';

-- Tells why a task is where it is, and above all why one that waits is not running.
-- Called by: people. Locks: nothing. Returns: one line for each reason; it is never empty.
-- A worker that claims only some categories, and one in another language that does not register as it should, are
-- not known here.
CREATE OR REPLACE FUNCTION contentq.explain(task_id text)
RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
            RETURN NEXT 'no worker holds it: it was set to processing by hand, and only its deadline ends it';
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
            RETURN NEXT format('to put it back: contentq retry, or SELECT contentq.requeue(%L)', task.task_id);
        ELSIF EXISTS (SELECT FROM public.contents AS c WHERE c.id = task.content_id AND c.review_status = 'rejected')
        THEN
            RETURN NEXT format('its content was rejected; to have it revised: contentq retry --note, or '
                               'SELECT contentq.requeue(%L, ''what is to be better'')', task.task_id);
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
                THEN format('%s or more ready tasks are ahead of it (priority, then submitted_at), those of accounts '
                            'that are held included', counted)
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

COMMENT ON FUNCTION contentq.explain(text) IS
    'Why a task is not running, one line for each reason: not due, paused, budget used up, gate closed, no live '
    'worker, all full, so many ahead of it; or what became of it.';

DROP FUNCTION contentq.requeue(text);

-- Chooses and locks up to max_tasks ready tasks, most urgent first: priority DESC, submitted_at, id.
-- Called by: claim().
-- Locks: the tasks that it chooses, skipping those that others are taking (so it never waits).
-- Returns: their ids, in order. A task that a producer has given the highest attempt there is, is never chosen,
--          nor is one of an account that is held: paused, or without money left this month.
--
-- Tasks that were claimed leave dead entries at the head of the ready index. Usually the next scan marks them and
-- no other walks them again. While some session holds an old snapshot (a report, a dump, a forgotten BEGIN) they
-- cannot be marked, and each claim would walk all of them; as it would all the tasks of an account that is held.
-- When a scan has taken long, the session therefore remembers how far it has come in each priority (in the setting
-- contentq.ready_heads, for twenty times as long as the scan took, a second at most) and begins there. Tasks that become
-- ready behind that place meanwhile, such as retries, are found by the next whole scan; new ones are found at once, and
-- more urgent ones unless they are behind the place of their own priority. While accounts are held, it counts for up to
-- 5 seconds, since their tasks do not go away by being walked over: a million of them take half a second.
CREATE OR REPLACE FUNCTION contentq.choose_ready(max_tasks integer, categories text[])
RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_incremental_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    began constant timestamptz := clock_timestamp();
    -- Set to 0 by tests, so that each scan is taken for a long one.
    long constant interval := coalesce(
        nullif(current_setting('contentq.long_scan', true), '')::interval,
        interval '3 milliseconds' + choose_ready.max_tasks * interval '20 microseconds'
    );
    held integer[] := ARRAY(
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
    heads jsonb := '{}';
    head record;
    chosen integer[] := '{}';
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
                   coalesce((heads->urgency::text->>1)::integer, 0) AS id
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
        -- new task of an account that is held wakes it, and need not make it walk over all the others again.
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

COMMENT ON FUNCTION contentq.choose_ready(integer, text[]) IS
    'Internal: chooses and locks the tasks that claim() takes; returns their ids in order.';

-- Hands up to max_tasks ready tasks to a worker, most urgent first: priority DESC, submitted_at, id.
-- Called by: workers.
-- Locks: the tasks that it takes, skipping those that others are taking (so it never waits).
-- Returns: the claimed tasks, in order, as they are now: processing, attempt one higher. None while the gate of
--          the worker, or the gate *, is closed; the setting contentq.gate then says until when and why.
-- Raises: CQ001 when the worker is not registered (any more).
--
-- The rows are chosen into an array first and updated by that array: no plan can make LIMIT be evaluated
-- twice and return more than was asked for. The settings leave the planner one way to find them, the ready
-- index in its own order (and the primary key), also in a session whose plan was made while the table was empty.
CREATE OR REPLACE FUNCTION contentq.claim(
    worker_id bigint,
    max_tasks integer,
    categories text[] DEFAULT NULL
)
RETURNS SETOF public.content_generation_tasks
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    now_ constant timestamptz := clock_timestamp();
    closed jsonb;
    -- Whether tasks are being committed that no one may have been notified of (see wake_workers); asked before looking.
    are_coming constant boolean := NOT CASE
        WHEN pg_try_advisory_lock(1668183153, 0) THEN pg_advisory_unlock(1668183153, 0)
        ELSE false
    END;
    looks constant text := current_setting('contentq.look_again', true);
    vain integer := 0;
    chosen integer[];
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
    WHERE w.id = claim.worker_id;
    IF NOT FOUND THEN
        PERFORM contentq.raise_not_registered(claim.worker_id);
    END IF;
    IF closed IS NOT NULL THEN
        PERFORM set_config('contentq.gate', closed::text, false);
        RETURN;
    ELSIF current_setting('contentq.gate', true) <> '' THEN
        PERFORM set_config('contentq.gate', '', false);
    END IF;
    IF claim.max_tasks IS NULL OR claim.max_tasks < 1 THEN
        RETURN;
    END IF;

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
    IF cardinality(chosen) = 0 THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH claimed AS (
        UPDATE public.content_generation_tasks AS t
        SET status = 'processing',
            started_at = clock_timestamp(),
            attempt = t.attempt + 1,
            worker_id = claim.worker_id,
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
$$;

COMMENT ON FUNCTION contentq.claim(bigint, integer, text[]) IS
    'Claims at most max_tasks ready tasks (of these categories, when given) for a worker, in the order '
    'priority DESC, submitted_at, id; none while its gate, or the gate *, is closed. The attempt of each row is '
    'the fencing token to report with. Raises CQ001 when the worker is not registered.';

-- Completes tasks that a worker holds: many in one call.
-- Called by: workers, when handlers ended well.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- A task whose (worker, attempt) no longer holds is left alone. One that was cancelled meanwhile ends
-- failed, one past its deadline ends timeout; neither counts.
-- Content that content_ids names is approved when the task has auto_approve. What a result says of model, tokens and
-- cost is added to the usage of the task's account (see record_usage()).
-- Raises: 22003, 22P02, 22P05 or 54001, with nothing changed, when a result is not JSON that jsonb can hold.
-- The coalesce leaves the planner no index but the primary key. By its statistics another one may look as good, and
-- then every report of a worker would read all the tasks that it holds. It is also estimated to hold for half of the
-- tasks: were that one task, reading a whole small table by its ids would look better than looking up each id.
CREATE OR REPLACE FUNCTION contentq.complete(
    worker_id bigint,
    ids integer[],
    attempts integer[],
    results text[] DEFAULT NULL,
    content_ids integer[] DEFAULT NULL
)
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    completed integer[];
    completed_results text[];
BEGIN
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
        WHERE t.id = r.id
          AND t.attempt = r.attempt
          AND coalesce(t.status = 'processing' AND t.worker_id = complete.worker_id, false)
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
        PERFORM contentq.record_usage(complete.worker_id, completed, completed_results);
    END IF;

    IF complete.content_ids IS NOT NULL AND cardinality(completed) > 0 THEN
        WITH produced AS MATERIALIZED (
            SELECT t.content_id
            FROM public.content_generation_tasks AS t
            WHERE t.id = ANY (completed)
              AND t.auto_approve
              AND t.content_id + 0 = ANY (complete.content_ids)
        )
        UPDATE public.contents AS c
        SET review_status = 'approved'
        FROM produced AS p
        WHERE c.id = p.content_id
          AND c.review_status = 'pending';
    END IF;

    RETURN QUERY SELECT unnest(completed);
END;
$$;

COMMENT ON FUNCTION contentq.complete(bigint, integer[], integer[], text[], integer[]) IS
    'Completes the tasks (ids with their attempts) that this worker still holds; results are JSON as text, '
    'content_ids the content they produced. Returns the ids that counted; the others were taken over, '
    'cancelled or past their deadline.';

-- Does what is due of the housekeeping: deadlines, dead workers, scheduled tasks, old tasks.
-- Called by: every worker, when the time that it returned last has passed; whoever gets there first does it.
-- Locks: an advisory lock of the transaction, so that the others do not wait; then as the functions it calls.
-- Returns: the time after which it wants to be called again: until the next deadline or the next possible
--          death that it knows of, at most 4 seconds.
-- Raises nothing of what a step raises: it becomes a warning, and the other steps are done all the same.
--
-- Silence is evidence of death only while workers could reach the database at all. maintenance.watched_since
-- is the start of the unbroken time of such calls: after a restart, a failover or a network cut it begins
-- anew, and no worker is given up before it has had its full time to be heard again. Silence is judged as of the
-- moment of that decision: should this very call be held up, the workers are held up with it.
CREATE OR REPLACE FUNCTION contentq.maintain()
RETURNS interval
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    longest_wait constant interval := '4 seconds';
    batch constant integer := 1000;
    now_ constant timestamptz := clock_timestamp();
    settings contentq.settings;
    watch contentq.maintenance;
    step text;
    done integer;
    more boolean := false;
    next_event timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('contentq.maintain', 0)) THEN
        RETURN longest_wait;
    END IF;
    SELECT s.* INTO STRICT settings FROM contentq.settings AS s;

    UPDATE contentq.maintenance AS m
    SET ran_at = now_,
        watched_since = CASE WHEN m.ran_at < now_ - greatest(settings.heartbeat_timeout * 0.6, longest_wait * 1.25)
                             THEN now_ ELSE m.watched_since END
    RETURNING m.* INTO STRICT watch;

    FOREACH step IN ARRAY ARRAY['sweep', 'promote', 'rescue', 'clean up'] LOOP
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
            ELSIF settings.retention IS NOT NULL AND watch.cleaned_at < now_ - interval '1 minute' THEN
                done := contentq.cleanup(settings.retention, batch);
                IF done < batch THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
                DELETE FROM contentq.blocked_accounts AS h WHERE greatest(h.paused_until, h.over_budget_until) <= now_;
            END IF;
            more := more OR done >= batch;
        EXCEPTION
            WHEN OTHERS THEN
                RAISE WARNING 'contentq.maintain() could not %: %', step, SQLERRM
                    USING ERRCODE = SQLSTATE;
                IF step = 'clean up' THEN
                    UPDATE contentq.maintenance SET cleaned_at = now_;
                END IF;
        END;
    END LOOP;
    IF more THEN
        RETURN interval '0';
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

COMMENT ON FUNCTION contentq.maintain() IS
    'Housekeeping, by whichever worker calls first: sweeps deadlines, rescues dead workers'' tasks, makes '
    'scheduled tasks ready, deletes what is older than settings.retention. Returns how long to wait before the next call.';

-- Says how long until there may be something more to claim, so that an idle worker sleeps exactly that long: until a
-- scheduled task becomes ready, until an account is held no more, or until choose_ready() of this session should look
-- at everything again; and 5 milliseconds when its last claim came while tasks were being committed that no one may
-- have been notified of, twice as long each time that it looked in vain, up to 320. When its last claim found the gate
-- closed: until that opens, whatever else there is.
-- Called by: workers, when a claim found nothing more.
-- It is volatile, so that in one statement with a claim it sees what the claim has done.
-- Locks: nothing. Returns: the time from now (never negative), NULL when there is no such time.
-- A task put off to infinity does not count; before PostgreSQL 17 there is no interval that reaches it.
CREATE OR REPLACE FUNCTION contentq.next_claim_in()
RETURNS interval
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
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

COMMENT ON FUNCTION contentq.next_claim_in() IS
    'Time until the next scheduled task becomes ready, until the gate that its last claim found closed opens, or '
    'until this session should look again for another reason; '
    'NULL when there is no such time.';

-- Puts a task that ended without success back to pending, with all its retries; or one whose content a reviewer has
-- rejected, for a revision.
-- Called by: operators. Locks: the task's row.
-- Returns: pending; NULL when there is no such task, or it is neither failed nor timeout nor completed with rejected
--          content.
-- The handler finds the content of the earlier attempt, and note, when given, as its error.
-- A deadline that has passed is removed, since it would end the task again at once; attempt goes on counting.
CREATE OR REPLACE FUNCTION contentq.requeue(task_id text, note text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
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
                            AND c.review_status = 'rejected'))
    RETURNING t.status INTO new_status;
    IF FOUND THEN
        PERFORM contentq.notify_ready();
    END IF;
    RETURN new_status;
END;
$$;

COMMENT ON FUNCTION contentq.requeue(text, text) IS
    'Puts a task back to pending with all its retries when it is failed or timeout, or completed with content that '
    'was rejected; note is what the handler finds as the previous error. Returns pending, NULL when it is none of these.';

-- Stores the content of tasks that a worker holds and completes them, as one statement: there is never
-- content without its completed task, nor the reverse.
-- Called by: workers, for handlers that return content.
-- Locks: the tasks, in id order. Returns: the ids that counted.
-- The result of each task is {"success": true, "content_id": …, "word_count": …} followed by the members of
-- the JSON object in extras, when there is one. Content is approved when the task has auto_approve. What extras say of
-- model, tokens and cost is added to the usage of the task's account (see record_usage()).
-- A task whose (worker, attempt) no longer holds is left alone and gets no content; one that was cancelled
-- meanwhile ends failed, one past its deadline ends timeout; neither counts.
-- Raises: 22003, 22P02, 22P05 or 54001, with nothing changed, when a member of extras is not a JSON object.
-- For the coalesce see complete().
CREATE OR REPLACE FUNCTION contentq.store(
    worker_id bigint,
    ids integer[],
    attempts integer[],
    titles text[],
    bodies text[],
    word_counts integer[],
    extras text[] DEFAULT NULL
)
RETURNS SETOF integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    held_ids integer[];
    places bigint[];
    held_counts integer[];
    held_extras text[];
    content_ids integer[];
BEGIN
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
            JOIN public.content_generation_tasks AS t ON t.id = r.id AND t.attempt = r.attempt
            WHERE coalesce(t.status = 'processing' AND t.worker_id = store.worker_id, false)
              AND t.cancel_requested_at IS NULL
              AND (t.timeout_at IS NULL OR t.timeout_at > clock_timestamp())
            ORDER BY t.id
            FOR NO KEY UPDATE OF t
        ) AS l
        ORDER BY l.id, l.place
    ) AS h;

    -- The rows are locked, so that what was true of them above still is; the deadline was judged there, once.
    WITH stored AS (
        INSERT INTO public.contents (account_id, title, body, word_count, review_status)
        SELECT t.account_id, r.title, r.body, r.word_count,
               CASE WHEN t.auto_approve THEN 'approved' ELSE 'pending' END
        FROM unnest(store.ids, store.titles, store.bodies, store.word_counts)
            WITH ORDINALITY AS r (id, title, body, word_count, place)
        JOIN public.content_generation_tasks AS t ON t.id = r.id
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
    WHERE t.id = r.id
    RETURNING t.id;

    IF EXISTS (SELECT
               FROM unnest(held_extras) AS e (extra)
               WHERE strpos(e.extra, '_tokens"') > 0 OR strpos(e.extra, '"cost"') > 0)
    THEN
        PERFORM contentq.record_usage(store.worker_id, held_ids, held_extras);
    END IF;

    IF coalesce(cardinality(held_ids), 0) < cardinality(store.ids) THEN
        PERFORM contentq.end_cancelled_or_overdue(store.worker_id, store.ids, store.attempts);
    END IF;
END;
$$;

COMMENT ON FUNCTION contentq.store(bigint, integer[], integer[], text[], text[], integer[], text[]) IS
    'Stores content (title, body, words) for the tasks that this worker still holds and completes them in the '
    'same statement; extras are JSON objects whose members are added to the results. Returns the ids that counted.';

-- Ends tasks whose deadline has passed, waiting or running.
-- Called by: maintain(), cron, operators; safe from several places at once.
-- Locks: up to max_rows tasks in order of their deadline, skipping those that others hold (so it never waits
--        and cannot take part in a deadlock). Returns: how many it ended.
-- A running task's worker is told by its next heartbeat. One that was cancelled ends failed here too.
CREATE OR REPLACE FUNCTION contentq.sweep_timeouts(max_rows integer DEFAULT 1000)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    -- A constant, since PostgreSQL compares a volatile function with every row instead of looking it up.
    now_ constant timestamptz := clock_timestamp();
    overdue integer[];
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
                                 THEN 'Task timeout before the next attempt; the last one ended with: '
                                      || t.error_message
                                 ELSE 'Task timeout before execution' END,
            scheduled_at = NULL,
            updated_at = CURRENT_TIMESTAMP
        WHERE t.id = ANY (overdue);
    END IF;
    RETURN cardinality(overdue);
END;
$$;

COMMENT ON FUNCTION contentq.sweep_timeouts(integer) IS
    'Ends up to max_rows tasks whose timeout_at has passed: timeout, with the message Task execution timeout '
    'when they were running. Returns how many.';

-- The gates that were ever closed, those that are closed first.
CREATE OR REPLACE VIEW contentq.gate_status AS
SELECT
    g.key,
    CASE WHEN g.opens_at > clock_timestamp() THEN 'closed' ELSE 'open' END AS state,
    CASE WHEN g.opens_at > clock_timestamp() THEN date_trunc('second', g.opens_at) END AS opens_at,
    CASE
        WHEN g.opens_at > clock_timestamp() AND g.opens_at < 'infinity'
        THEN date_trunc('second', g.opens_at - clock_timestamp())
    END AS time_left,
    (SELECT count(*) FROM contentq.workers AS w WHERE g.key IN (w.gate, '*')) AS workers,
    date_trunc('second', g.closed_at) AS closed_at,
    left(g.reason, 60) AS reason
FROM contentq.gates AS g
ORDER BY g.opens_at > clock_timestamp() DESC, g.key;

COMMENT ON VIEW contentq.gate_status IS
    'Gates, closed ones first: until when (opens_at may be infinity), how many workers have it, when and why it was '
    'closed last.';

-- The accounts whose tasks are not claimed now, those with the most waiting first.
CREATE OR REPLACE VIEW contentq.paused_accounts AS
SELECT
    h.account_id AS account,
    left(a.name, 30) AS name,
    concat_ws(
        ', ',
        CASE WHEN h.paused_until > clock_timestamp() THEN 'paused' END,
        CASE WHEN h.over_budget_until > clock_timestamp() THEN 'budget used up' END
    ) AS why,
    date_trunc('second', greatest(h.paused_until, h.over_budget_until)) AS until,
    (SELECT count(*)
     FROM public.content_generation_tasks AS t
     WHERE t.account_id = h.account_id
       AND t.status = 'pending') AS pending
FROM contentq.blocked_accounts AS h
LEFT JOIN public.accounts AS a ON a.id = h.account_id
WHERE greatest(h.paused_until, h.over_budget_until) > clock_timestamp()
ORDER BY pending DESC, h.account_id;

COMMENT ON VIEW contentq.paused_accounts IS
    'Accounts whose tasks are not claimed now, since they are paused or have used up their monthly budget: until when '
    '(infinity: until someone resumes them), and how many tasks wait.';

-- What the accounts' attempts have cost this month (UTC), most expensive first; and those that have a budget.
CREATE OR REPLACE VIEW contentq.usage_by_account AS
SELECT
    a.id AS account,
    left(a.name, 30) AS name,
    coalesce(u.attempts, 0) AS attempts,
    coalesce(u.prompt_tokens, 0) AS prompt_tokens,
    coalesce(u.completion_tokens, 0) AS completion_tokens,
    coalesce(u.cost, 0) AS cost,
    a.monthly_budget,
    round(100 * coalesce(u.cost, 0) / nullif(a.monthly_budget, 0), 1) AS used_percent,
    coalesce(h.over_budget_until > clock_timestamp(), false) AS used_up
FROM public.accounts AS a
LEFT JOIN (
    SELECT
        e.account_id,
        sum(e.attempts) AS attempts,
        sum(e.prompt_tokens) AS prompt_tokens,
        sum(e.completion_tokens) AS completion_tokens,
        round(sum(e.cost), 6) AS cost
    FROM contentq.usage AS e
    WHERE e.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
    GROUP BY e.account_id
) AS u ON u.account_id = a.id
LEFT JOIN contentq.blocked_accounts AS h ON h.account_id = a.id
WHERE u.account_id IS NOT NULL
   OR a.monthly_budget IS NOT NULL
ORDER BY cost DESC, a.id;

COMMENT ON VIEW contentq.usage_by_account IS
    'By account, since the first of this month (UTC): attempts that were charged, tokens, cost, monthly budget, and '
    'whether it is used up, so that nothing more is claimed.';

-- What each model has cost this month (UTC), most expensive first.
CREATE OR REPLACE VIEW contentq.usage_by_model AS
SELECT
    u.model,
    sum(u.attempts) AS attempts,
    sum(u.prompt_tokens) AS prompt_tokens,
    sum(u.completion_tokens) AS completion_tokens,
    round(sum(u.cost), 6) AS cost,
    round(sum(u.cost) / sum(u.attempts), 6) AS cost_each
FROM contentq.usage AS u
WHERE u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
GROUP BY u.model
ORDER BY cost DESC, u.model;

COMMENT ON VIEW contentq.usage_by_model IS
    'By model, since the first of this month (UTC): attempts that were charged, tokens, cost.';

-- What each of the last 31 days (UTC) has cost, latest first.
CREATE OR REPLACE VIEW contentq.usage_by_day AS
SELECT
    u.day,
    sum(u.attempts) AS attempts,
    sum(u.prompt_tokens) AS prompt_tokens,
    sum(u.completion_tokens) AS completion_tokens,
    round(sum(u.cost), 6) AS cost,
    count(DISTINCT u.account_id) AS accounts
FROM contentq.usage AS u
WHERE u.day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 31
GROUP BY u.day
ORDER BY u.day DESC;

COMMENT ON VIEW contentq.usage_by_day IS
    'By day (UTC), the last 31: attempts that were charged, tokens, cost, accounts.';

-- What is being executed now, longest first.
CREATE OR REPLACE VIEW contentq.running_tasks AS
SELECT
    t.id,
    t.task_id,
    t.account_id AS account,
    t.priority,
    t.attempt,
    date_trunc('second', clock_timestamp() - t.started_at) AS running,
    date_trunc('second', t.timeout_at - clock_timestamp()) AS time_left,
    t.worker_id,
    w.hostname,
    left(t.topic, 40) AS topic,
    round((t.progress * 100)::numeric) AS percent,
    left(t.progress_note, 40) AS note
FROM public.content_generation_tasks AS t
LEFT JOIN contentq.workers AS w ON w.id = t.worker_id
WHERE t.status = 'processing'
ORDER BY t.started_at, t.id;

COMMENT ON VIEW contentq.running_tasks IS
    'Tasks that are processing, longest first, with their worker (NULL when set to processing by hand) and '
    'how far they are, as their handlers say.';

-- The registered workers and whether they are heard. Busy is counted from the tasks, since what a worker has said
-- of itself may be two seconds old.
CREATE OR REPLACE VIEW contentq.worker_status AS
SELECT
    w.id,
    w.hostname,
    w.pid,
    CASE
        WHEN w.heartbeat_at < clock_timestamp() - s.heartbeat_timeout THEN 'silent'
        WHEN w.draining THEN 'draining'
        WHEN held.busy >= w.slots THEN 'full'
        WHEN held.busy > 0 THEN 'working'
        ELSE 'idle'
    END AS state,
    held.busy,
    w.slots,
    round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 1) AS heard_s_ago,
    date_trunc('second', clock_timestamp() - w.started_at) AS up,
    left(w.handler, 30) AS handler,
    w.version,
    w.gate
FROM contentq.workers AS w
CROSS JOIN contentq.settings AS s
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS busy
    FROM public.content_generation_tasks AS t
    WHERE t.worker_id = w.id
      AND t.status = 'processing'
) AS held
ORDER BY w.id;

COMMENT ON VIEW contentq.worker_status IS
    'Registered workers: idle, working, full, draining or silent; busy of slots, by the tasks held; seconds since '
    'the last heartbeat.';

-- Deferred, so that block_account() locks the account only while the transaction commits.
CREATE CONSTRAINT TRIGGER accounts_blocked_insert
    AFTER INSERT ON public.accounts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (NEW.paused_until IS NOT NULL OR NEW.monthly_budget IS NOT NULL)
    EXECUTE FUNCTION contentq.account_changed();

CREATE CONSTRAINT TRIGGER accounts_blocked_update
    AFTER UPDATE ON public.accounts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (OLD.paused_until IS DISTINCT FROM NEW.paused_until
          OR OLD.monthly_budget IS DISTINCT FROM NEW.monthly_budget
          OR OLD.id <> NEW.id AND num_nonnulls(OLD.paused_until, OLD.monthly_budget) > 0)
    EXECUTE FUNCTION contentq.account_changed();

CREATE CONSTRAINT TRIGGER accounts_blocked_delete
    AFTER DELETE ON public.accounts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (OLD.paused_until IS NOT NULL OR OLD.monthly_budget IS NOT NULL)
    EXECUTE FUNCTION contentq.account_changed();

CREATE TRIGGER accounts_blocked_truncate
    AFTER TRUNCATE ON public.accounts
    FOR EACH STATEMENT
    EXECUTE FUNCTION contentq.account_changed();

COMMENT ON TRIGGER accounts_blocked_insert ON public.accounts IS
    'Tells claims of an account that is added with a pause or a budget.';
COMMENT ON TRIGGER accounts_blocked_update ON public.accounts IS
    'Tells claims of a pause or a budget that was set, changed or removed.';
COMMENT ON TRIGGER accounts_blocked_delete ON public.accounts IS
    'Makes claims forget an account that is gone.';
COMMENT ON TRIGGER accounts_blocked_truncate ON public.accounts IS
    'Makes claims forget all accounts when all are gone.';

-- A table that was there may have accounts that are paused or have a budget already.
DO $$
BEGIN
    PERFORM contentq.block_account(a.id::integer)
    FROM public.accounts AS a
    WHERE a.paused_until IS NOT NULL
       OR a.monthly_budget IS NOT NULL;
END;
$$;
