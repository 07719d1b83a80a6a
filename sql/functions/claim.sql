-- Claims up to max_tasks ready tasks for a worker.
-- The order is priority DESC, submitted_at, id, unless the settings change it. worker_room() limits the number;
-- worker_wait() tells for how long, and why.
-- With task_ids it claims those of these tasks that are pending, regardless of gates, scheduled_at and blocked accounts.
-- That is for logins that may open gates and change times: those that may update tasks.
-- Called by: workers.
-- Locks: the claimed tasks; it skips tasks that other sessions have locked, so it never waits.
-- Returns: the claimed tasks as they are now (processing, attempt increased by one), by priority DESC, submitted_at, id.
-- Raises: CQ001 if the worker is not registered, CQ003 if another login registered it; 42501 for task_ids if the login
--         may not update tasks.
--
-- The texts of the claimed tasks, including earlier content, total at most 16 MB, unless a single task is larger. So the
-- memory of a worker does not depend on what producers insert. The next claim returns the rest and is due at once.
--
-- The tasks are first chosen into an array and then updated by that array, so no plan can evaluate LIMIT twice and return
-- too many. The settings leave the planner one access path: the ready index in its own order, and the primary key. This
-- also holds in a session whose plan was made while the table was empty.
CREATE OR REPLACE FUNCTION contentq.claim(
    worker_id bigint,
    max_tasks integer,
    categories text[] DEFAULT NULL,
    task_ids bigint[] DEFAULT NULL
)
RETURNS SETOF public.content_generation_tasks
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
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

COMMENT ON FUNCTION contentq.claim(bigint, integer, text[], bigint[]) IS
    'Claims up to max_tasks ready tasks for a worker and returns them. categories: only tasks of these categories. Order: '
    'priority DESC, submitted_at, id, unless contentq.settings changes it. The gate of the worker, the gate * and the '
    'pauses, caps and budgets of accounts limit the number. The attempt of each row is the fencing token for its reports. '
    'task_ids: only these tasks, regardless of gates, scheduled_at and blocked accounts, for logins that may update tasks. '
    'Raises CQ001 if the worker is not registered.';
