-- The comments of tables and columns. Each migration restores them, like functions, views and triggers. In tables that
-- existed before contentq, only columns that contentq added, or that have no comment, get theirs.

COMMENT ON TABLE public.accounts IS 'The accounts for which content is generated.';
COMMENT ON COLUMN public.accounts.id IS 'Identifier; tasks and contents refer to it.';
COMMENT ON COLUMN public.accounts.name IS 'Display name, up to 200 characters.';
COMMENT ON COLUMN public.accounts.created_at IS 'When the account was added.';
COMMENT ON COLUMN public.accounts.external_id IS
    'Identifier of the account in another system, such as its UUID; unique if set.';
COMMENT ON COLUMN public.accounts.paused_until IS
    'No task of the account is claimed before this time; infinity: until it is set to NULL. NULL: not paused.';
COMMENT ON COLUMN public.accounts.monthly_budget IS
    'Maximum cost of attempts in a month (UTC); NULL: no limit. Other budgets are in contentq.budgets.';
COMMENT ON COLUMN public.accounts.share IS
    'Weight in fair order (settings.claim_order): an account with share 3 runs three times as many tasks as one with 1.';
COMMENT ON COLUMN public.accounts.max_running IS
    'Maximum number of tasks of the account that run at once, in any claim order; NULL: no limit.';

COMMENT ON TABLE public.contents IS 'The content that tasks produced, one row for each version.';
COMMENT ON COLUMN public.contents.id IS 'Identifier; tasks refer to it.';
COMMENT ON COLUMN public.contents.account_id IS 'The account for which it was generated.';
COMMENT ON COLUMN public.contents.title IS 'Title, up to 500 characters.';
COMMENT ON COLUMN public.contents.body IS 'The text, in Markdown.';
COMMENT ON COLUMN public.contents.word_count IS 'Number of words in the body; a CJK character counts as one.';
COMMENT ON COLUMN public.contents.review_status IS
    'pending, approved or rejected. Content of a task with auto_approve is approved when it is stored.';
COMMENT ON COLUMN public.contents.created_at IS 'When the content was stored.';
COMMENT ON COLUMN public.contents.generation_task_id IS
    'Id of the task that produced it. All versions from one task have the same id; the latest has the largest contents.id. '
    'The task may have been deleted since.';
COMMENT ON COLUMN public.contents.reviewed_by IS 'Who last approved or rejected it; NULL: nobody.';
COMMENT ON COLUMN public.contents.reviewed_at IS 'When it was last approved or rejected.';
COMMENT ON COLUMN public.contents.review_note IS
    'The note of the reviewer; for a draft that failed checks, the failed checks.';

COMMENT ON TABLE public.content_generation_tasks IS
    'The queue: one row follows one piece of content from its submission to its end. '
    'Producers must set account_id; every other column has a default.';
COMMENT ON COLUMN public.content_generation_tasks.id IS 'Internal identifier (4 bytes by specification).';
COMMENT ON COLUMN public.content_generation_tasks.task_id IS
    'Public identifier; by default task-<32 hex digits>.';
COMMENT ON COLUMN public.content_generation_tasks.content_id IS
    'The latest content that the task produced; NULL before that.';
COMMENT ON COLUMN public.content_generation_tasks.account_id IS 'The account for which content is generated.';
COMMENT ON COLUMN public.content_generation_tasks.topic IS 'Subject, up to 500 characters.';
COMMENT ON COLUMN public.content_generation_tasks.keywords IS 'Comma-separated, up to 500 characters.';
COMMENT ON COLUMN public.content_generation_tasks.category IS
    'Category, up to 100 characters; workers can claim by category.';
COMMENT ON COLUMN public.content_generation_tasks.requirements IS 'Special instructions for the handler.';
COMMENT ON COLUMN public.content_generation_tasks.tone IS 'Tone of voice, up to 50 characters.';
COMMENT ON COLUMN public.content_generation_tasks.status IS 'pending, processing, completed, failed or timeout.';
COMMENT ON COLUMN public.content_generation_tasks.priority IS '1 to 10; higher is more urgent.';
COMMENT ON COLUMN public.content_generation_tasks.retry_count IS 'Number of retries charged so far.';
COMMENT ON COLUMN public.content_generation_tasks.max_retries IS
    'Retries allowed after the first attempt: max_retries + 1 attempts in all.';
COMMENT ON COLUMN public.content_generation_tasks.submitted_at IS
    'When it was submitted; within a priority, older tasks are claimed first.';
COMMENT ON COLUMN public.content_generation_tasks.started_at IS 'When the latest attempt started.';
COMMENT ON COLUMN public.content_generation_tasks.completed_at IS 'When it was completed.';
COMMENT ON COLUMN public.content_generation_tasks.timeout_at IS
    'Deadline of the whole task, including waiting; after it the task ends with status timeout.';
COMMENT ON COLUMN public.content_generation_tasks.result IS
    'The result of the handler, e.g. {"success": true, "content_id": 123, "word_count": 1500}.';
COMMENT ON COLUMN public.content_generation_tasks.error_message IS 'The latest error; NULL after completion.';
COMMENT ON COLUMN public.content_generation_tasks.auto_approve IS
    'Whether content of the task is approved without review.';
COMMENT ON COLUMN public.content_generation_tasks.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN public.content_generation_tasks.updated_at IS 'When the row was last updated; set by a trigger.';
COMMENT ON COLUMN public.content_generation_tasks.scheduled_at IS
    'The task is not claimed before this time (delay or backoff). NULL: ready now; it becomes NULL when due.';
COMMENT ON COLUMN public.content_generation_tasks.attempt IS
    'Fencing token: increased by each claim, never reset. An outcome counts only with the current value.';
COMMENT ON COLUMN public.content_generation_tasks.worker_id IS
    'The worker that holds the task, or one that has not yet received notice that it no longer holds it.';
COMMENT ON COLUMN public.content_generation_tasks.cancel_requested_at IS
    'When a running task was cancelled; it can then only end failed.';
COMMENT ON COLUMN public.content_generation_tasks.attempt_errors IS
    'The last 20 failures: array of {attempt, at, worker_id, error_class, message}.';
COMMENT ON COLUMN public.content_generation_tasks.progress IS
    'Progress of the latest attempt, from 0 to 1, as its handler reports it; NULL if it reports none.';
COMMENT ON COLUMN public.content_generation_tasks.gate IS
    'The gate that the latest attempt has entered, for workers with several gates; NULL for other workers.';
COMMENT ON COLUMN public.content_generation_tasks.gate_entered_at IS 'When the attempt entered that gate.';
COMMENT ON COLUMN public.content_generation_tasks.progress_note IS
    'The latest progress note of the latest attempt.';
COMMENT ON COLUMN public.content_generation_tasks.revision_count IS
    'Number of revisions requested so far because checks failed; they charge no retry.';
COMMENT ON COLUMN public.content_generation_tasks.revision_note IS
    'What the next attempt must change in the content: the failed checks, one per line, or the note of a reviewer; NULL '
    'after completion.';
COMMENT ON COLUMN public.content_generation_tasks.handler_state IS
    'State that the handler stored for its next attempt when it snoozed the task: a JSON object of up to 8192 bytes.';
COMMENT ON COLUMN public.content_generation_tasks.batch IS
    'Name of the batch in which the task was submitted, up to 100 characters, chosen by the producer. See the view '
    'batches.';
COMMENT ON COLUMN public.content_generation_tasks.traceparent IS
    'Trace context of the producer (W3C traceparent); attempts are spans of that trace.';
COMMENT ON COLUMN public.content_generation_tasks.ready_at IS
    'When the task became ready for its latest attempt, if not by its submission: at its scheduled time, after a retry, or '
    'when an operator requeued it. NULL: at its submission.';

COMMENT ON TABLE contentq.needed_indexes IS
    'The indexes that contentq needs on the three tables; doctor() reports missing ones.';
COMMENT ON COLUMN contentq.needed_indexes.table_name IS 'accounts, contents or content_generation_tasks.';
COMMENT ON COLUMN contentq.needed_indexes.name IS 'The name of the index.';
COMMENT ON COLUMN contentq.needed_indexes.definition IS 'Its columns and condition, in the syntax of CREATE INDEX.';
COMMENT ON COLUMN contentq.needed_indexes.first_column IS
    'In a table that existed before contentq, another index that begins with this column and covers all rows also counts.';
COMMENT ON TABLE contentq.tables IS
    'The schemas of accounts, contents and content_generation_tasks, and what contentq created in them; a downgrade drops '
    'only that.';
COMMENT ON COLUMN contentq.tables.table_name IS 'accounts, contents or content_generation_tasks.';
COMMENT ON COLUMN contentq.tables.schema_name IS 'The schema of the table.';
COMMENT ON COLUMN contentq.tables.is_created IS 'Whether contentq created the table; false: it existed before.';
COMMENT ON COLUMN contentq.tables.added IS
    'Statements that remove what contentq added to a table that existed before; for any table, statements that remove its '
    'row level security.';

COMMENT ON TABLE contentq.definitions IS
    'The functions, views and triggers that contentq migrate created, with digests that show which of them were changed '
    'since, or differ in another version of contentq.';
COMMENT ON COLUMN contentq.definitions.kind IS 'function, view or trigger.';
COMMENT ON COLUMN contentq.definitions.name IS 'Its name; for a trigger, table.trigger.';
COMMENT ON COLUMN contentq.definitions.source IS 'MD5 digest of the text from which it was created.';
COMMENT ON COLUMN contentq.definitions.installed IS
    'MD5 digest of its definition and comment in the catalogue after its creation.';

COMMENT ON TABLE contentq.workers IS
    'The live workers, one row each, updated by their heartbeats; the row of a worker that stops or dies is removed.';
COMMENT ON COLUMN contentq.workers.id IS 'Random number assigned at registration, never used twice.';
COMMENT ON COLUMN contentq.workers.hostname IS 'The machine on which it runs.';
COMMENT ON COLUMN contentq.workers.pid IS 'Its process id on that machine.';
COMMENT ON COLUMN contentq.workers.started_at IS 'When it registered.';
COMMENT ON COLUMN contentq.workers.heartbeat_at IS 'When its last heartbeat arrived, by the clock of the database.';
COMMENT ON COLUMN contentq.workers.slots IS 'How many tasks it runs at once.';
COMMENT ON COLUMN contentq.workers.busy IS 'How many tasks it ran at its last heartbeat.';
COMMENT ON COLUMN contentq.workers.handler IS 'Its handler.';
COMMENT ON COLUMN contentq.workers.gate IS 'Key of the gate that limits it; NULL if it has none, or several.';
COMMENT ON COLUMN contentq.workers.gates IS
    'Keys of the gates among which each of its tasks enters one; NULL if it has one gate, or none.';
COMMENT ON COLUMN contentq.workers.version IS 'Version of the program.';
COMMENT ON COLUMN contentq.workers.draining IS 'Whether it claims no more tasks and is about to stop.';
COMMENT ON COLUMN contentq.workers.login IS
    'The login that registered it; functions refuse calls for this worker from any other login.';

COMMENT ON COLUMN contentq.workers.categories IS 'The categories that it claims; NULL: all tasks.';

COMMENT ON TABLE contentq.claimers IS
    'Counts of the claims and reports of each worker, and what its claims remember; removed with the worker.';
COMMENT ON COLUMN contentq.claimers.worker_id IS 'The worker.';
COMMENT ON COLUMN contentq.claimers.calls IS 'Number of tasks that it has claimed; counted for workers with one gate.';
COMMENT ON COLUMN contentq.claimers.answered IS
    'Number of attempts that the provider answered; counted for workers with one gate.';
COMMENT ON COLUMN contentq.claimers.last_answered IS 'When the latest of these attempts began.';
COMMENT ON COLUMN contentq.claimers.tokens IS 'Number of tokens of these attempts, as far as their results report them.';
COMMENT ON COLUMN contentq.claimers.quick_failures IS
    'Number of attempts in a row that failed within a second; from 5 on the worker is slowed down until one succeeds.';
COMMENT ON COLUMN contentq.claimers.failed_at IS 'When the last of these failed.';
COMMENT ON COLUMN contentq.claimers.memory IS
    'What its next claims need not find out again: places in the ready index, accounts over budget, and turns in fair '
    'order by priority. Without it, claims read more and turns begin anew.';

COMMENT ON TABLE contentq.provider_batches IS
    'Batches of requests at a provider, or about to be sent; the view provider_batch_status shows them. Rows are deleted '
    'after settings.retention, or 30 days if that is NULL.';
COMMENT ON COLUMN contentq.provider_batches.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.provider_batches.key IS
    'Stored in the metadata of the batch at the provider, to find the batch again after a crash.';
COMMENT ON COLUMN contentq.provider_batches.login IS 'The login that opened it; only its workers tend it.';
COMMENT ON COLUMN contentq.provider_batches.provider IS 'The address of its API.';
COMMENT ON COLUMN contentq.provider_batches.model IS 'The model of the requests.';
COMMENT ON COLUMN contentq.provider_batches.status IS
    'opening until the provider is known to have it, then the status of the provider; withdrawn if the provider never had '
    'it; abandoned if no worker of its login looked at it for three days.';
COMMENT ON COLUMN contentq.provider_batches.requests IS 'Number of requests in it.';
COMMENT ON COLUMN contentq.provider_batches.completed IS 'Number of completed requests, as the provider reports it.';
COMMENT ON COLUMN contentq.provider_batches.failed IS 'Number of failed requests, as the provider reports it.';
COMMENT ON COLUMN contentq.provider_batches.provider_id IS 'Its id at the provider; NULL until it is known.';
COMMENT ON COLUMN contentq.provider_batches.input_file IS 'The id of the file of requests at the provider.';
COMMENT ON COLUMN contentq.provider_batches.opened_at IS 'When its requests were chosen.';
COMMENT ON COLUMN contentq.provider_batches.sent_at IS 'When the provider was known to have it.';
COMMENT ON COLUMN contentq.provider_batches.expires_at IS 'When the provider expires unfinished requests.';
COMMENT ON COLUMN contentq.provider_batches.ended_at IS 'When all answers were stored.';
COMMENT ON COLUMN contentq.provider_batches.error IS 'The latest error; NULL if the last check succeeded.';
COMMENT ON COLUMN contentq.provider_batches.failures IS 'Number of failed checks in a row.';
COMMENT ON COLUMN contentq.provider_batches.due_at IS 'When to check it next.';
COMMENT ON COLUMN contentq.provider_batches.tended_by IS 'The worker that leases it; NULL for none.';
COMMENT ON COLUMN contentq.provider_batches.tended_until IS 'When the lease ends unless it is renewed.';
COMMENT ON COLUMN contentq.provider_batches.tending IS 'Fencing token: increased by each new lease.';

COMMENT ON TABLE contentq.batch_requests IS
    'Requests of attempts for provider batches, with their answers, until their tasks have ended.';
COMMENT ON COLUMN contentq.batch_requests.id IS 'The id of the task.';
COMMENT ON COLUMN contentq.batch_requests.attempt IS 'The attempt that made the request; the task has it in handler_state.';
COMMENT ON COLUMN contentq.batch_requests.account_id IS 'The account of the task.';
COMMENT ON COLUMN contentq.batch_requests.category IS 'The category of the task, up to 200 characters; empty for none.';
COMMENT ON COLUMN contentq.batch_requests.login IS
    'The login of the worker that made the request; only workers of this login send it and store its answer.';
COMMENT ON COLUMN contentq.batch_requests.provider IS 'The address of the API.';
COMMENT ON COLUMN contentq.batch_requests.model IS 'The model of the request.';
COMMENT ON COLUMN contentq.batch_requests.body IS 'The request: a JSON object in one line.';
COMMENT ON COLUMN contentq.batch_requests.asked_at IS 'When the request was made.';
COMMENT ON COLUMN contentq.batch_requests.due_at IS 'The request is not sent before this time.';
COMMENT ON COLUMN contentq.batch_requests.batch_id IS 'Its batch; NULL: it waits for one.';
COMMENT ON COLUMN contentq.batch_requests.sendings IS 'How often it was sent; more than once if a batch expired.';
COMMENT ON COLUMN contentq.batch_requests.answered_at IS 'When the answer was stored.';
COMMENT ON COLUMN contentq.batch_requests.status_code IS 'HTTP status of the answer.';
COMMENT ON COLUMN contentq.batch_requests.answer IS 'Body of the answer, as JSON.';
COMMENT ON COLUMN contentq.batch_requests.usage IS 'Usage of the answer (tokens, cost), as JSON.';
COMMENT ON COLUMN contentq.batch_requests.is_taken IS 'Whether an attempt has taken the answer and reports its cost.';

COMMENT ON TABLE contentq.dead_workers IS
    'Workers found dead, and the tasks that were rescued from them; rows are deleted after settings.retention, or 30 days '
    'if that is NULL. See also the view rescued_tasks.';
COMMENT ON COLUMN contentq.dead_workers.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.dead_workers.found_at IS 'When its tasks were rescued.';
COMMENT ON COLUMN contentq.dead_workers.worker_id IS 'Its id.';
COMMENT ON COLUMN contentq.dead_workers.hostname IS
    'The machine on which it ran; this and the following columns are NULL if it was no longer registered.';
COMMENT ON COLUMN contentq.dead_workers.pid IS 'Its process id on that machine.';
COMMENT ON COLUMN contentq.dead_workers.handler IS 'Its handler.';
COMMENT ON COLUMN contentq.dead_workers.version IS 'Version of the program.';
COMMENT ON COLUMN contentq.dead_workers.started_at IS 'When it registered.';
COMMENT ON COLUMN contentq.dead_workers.heartbeat_at IS 'When its last heartbeat arrived.';
COMMENT ON COLUMN contentq.dead_workers.draining IS
    'Whether it was draining; if so, its tasks were charged no retry.';
COMMENT ON COLUMN contentq.dead_workers.ids IS 'The ids of the tasks that were rescued from it.';
COMMENT ON COLUMN contentq.dead_workers.attempts IS 'The lost attempts at these tasks, in the same order.';

COMMENT ON TABLE contentq.settings IS 'The settings of the queue: one row. An UPDATE takes effect at once.';
COMMENT ON COLUMN contentq.settings.only_row IS 'Always true; limits the table to one row.';
COMMENT ON COLUMN contentq.settings.backoff_base IS 'Maximum delay before the first retry; doubled for each further one.';
COMMENT ON COLUMN contentq.settings.backoff_max IS 'Maximum delay before any retry.';
COMMENT ON COLUMN contentq.settings.heartbeat_timeout IS
    'Time without a heartbeat after which the tasks of a worker are rescued; at least 5 seconds, because workers '
    'send a heartbeat every 2.';
COMMENT ON COLUMN contentq.settings.retention IS
    'Age at which workers delete completed tasks (their content stays); NULL: never.';
COMMENT ON COLUMN contentq.settings.failed_retention IS
    'Age at which maintain() deletes failed and timed-out tasks; NULL: never.';
COMMENT ON COLUMN contentq.settings.notify_reviewers IS
    'Whether sessions that LISTEN on contentq_review are notified of content that waits for review.';
COMMENT ON COLUMN contentq.settings.max_text_bytes IS
    'Maximum size in bytes (UTF-8) of each text of a task, such as requirements; at least 100000.';
COMMENT ON COLUMN contentq.settings.max_workers_per_login IS
    'Maximum number of workers that one login may have registered; register_worker() refuses more.';
COMMENT ON COLUMN contentq.settings.claim_order IS
    'Order inside a priority: strict (by submitted_at), or fair (running tasks are shared out between accounts by share).';
COMMENT ON COLUMN contentq.settings.aging IS
    'Tasks that were submitted longer ago get every other slot, whatever their priority; NULL: off.';
COMMENT ON COLUMN contentq.settings.deadlines IS
    'Whether, inside a priority, tasks with a deadline start first, the earliest first, and tasks that cannot finish in '
    'time end with status timeout.';
COMMENT ON COLUMN contentq.settings.budget_warning IS
    'Share of a budget from which it is near its end, which channel contentq_budgets announces; NULL: never.';

COMMENT ON TABLE contentq.maintenance IS 'When maintain() last did its work: one row.';
COMMENT ON COLUMN contentq.maintenance.only_row IS 'Always true; limits the table to one row.';
COMMENT ON COLUMN contentq.maintenance.ran_at IS 'The last call of maintain() that did its work.';
COMMENT ON COLUMN contentq.maintenance.watched_since IS
    'Start of the latest series of calls without a gap; a worker counts as silent only within this time.';
COMMENT ON COLUMN contentq.maintenance.cleaned_at IS 'When the clean-up last found nothing more to delete.';
COMMENT ON COLUMN contentq.maintenance.budgets_due_at IS
    'When budgets are checked next; the interval limits the checks to a fiftieth of the time.';

COMMENT ON TABLE contentq.account_roles IS
    'Who sees which accounts: with row level security on, a role and its members see and insert rows of these accounts.';
COMMENT ON COLUMN contentq.account_roles.role_name IS 'A login, or a group of logins.';
COMMENT ON COLUMN contentq.account_roles.account_id IS
    'An account whose rows it may see, and for which it may insert tasks.';

COMMENT ON TABLE contentq.awaited IS
    'Internal: tasks and batches for whose end a session waits (wait_channel); a row is deleted when it has ended.';
COMMENT ON COLUMN contentq.awaited.id IS 'In the order of the calls; two rows may be for the same task or batch.';
COMMENT ON COLUMN contentq.awaited.kind IS 'task or batch.';
COMMENT ON COLUMN contentq.awaited.name IS 'The task_id, or the name of the batch.';
COMMENT ON COLUMN contentq.awaited.since IS 'When a session first asked; maintain() deletes the row after a day.';
COMMENT ON TABLE contentq.wakeups IS
    'A row for each twentieth of a second, used in rotation: of the transactions that submit tasks and commit at the same '
    'time, the one that has locked the row notifies the workers for all.';
COMMENT ON COLUMN contentq.wakeups.slot IS 'Twentieths of a second since 1970, modulo 1000.';

COMMENT ON TABLE contentq.silent_commits IS
    'Rows locked by transactions that commit tasks without a notification of their own; the locks show claims that more '
    'tasks are about to become visible.';
COMMENT ON COLUMN contentq.silent_commits.place IS 'The process id of the session, modulo 64.';

COMMENT ON TABLE contentq.gates IS
    'Limits and state of providers: how many tasks of the workers registered with a gate may start now. A gate that was '
    'never set or closed, and for which no refusal was reported, has no row.';
COMMENT ON COLUMN contentq.gates.key IS
    'The name that workers register with, such as the host of a provider; * applies to every worker.';
COMMENT ON COLUMN contentq.gates.opens_at IS
    'Its workers claim nothing before this time; infinity: until someone calls open_gate().';
COMMENT ON COLUMN contentq.gates.reason IS 'Why it was last closed, up to 500 characters.';
COMMENT ON COLUMN contentq.gates.half_open IS
    'Whether, when it opens, one task of the fleet must first show that the provider answers.';
COMMENT ON COLUMN contentq.gates.closed_at IS 'When it was last closed.';
COMMENT ON COLUMN contentq.gates.closed_by IS
    'Who closed it: user, program, address; contentq: reports about the provider.';
COMMENT ON COLUMN contentq.gates.requests_per_minute IS 'Set by operators: how many tasks may start per minute.';
COMMENT ON COLUMN contentq.gates.tokens_per_minute IS
    'Set by operators: how many tokens tasks may use per minute, as their results report (prompt_tokens, '
    'completion_tokens).';
COMMENT ON COLUMN contentq.gates.max_running IS 'Set by operators: how many tasks of its workers may run at once.';
COMMENT ON COLUMN contentq.gates.peak IS
    'Learned: tasks per second that the provider accepted when refusals last cut the pace; NULL: no limit.';
COMMENT ON COLUMN contentq.gates.grown IS
    'Seconds in which the pace, or the cap, was the limit since it was cut; they determine how much it has grown.';
COMMENT ON COLUMN contentq.gates.is_ramping IS
    'Whether the pace doubles each second because the limit is not well known yet.';
COMMENT ON COLUMN contentq.gates.cap IS
    'Learned: how many tasks of its workers may run at once; NULL: nothing learned, or a pace.';
COMMENT ON COLUMN contentq.gates.cap_is_known IS 'Whether the provider has refused one more task than the cap in a trial.';
COMMENT ON COLUMN contentq.gates.cap_was_refused IS
    'Whether the provider has refused one more task once in this trial; the second time confirms the cap.';
COMMENT ON COLUMN contentq.gates.cap_tried_at IS
    'When a cap turned out to be no limit; the next one is tried a minute later at the earliest.';
COMMENT ON COLUMN contentq.gates.cut_at IS
    'When the pace was last cut or a trial of the cap began, or when the pace was restored after a trial; refusals of attempts that began earlier are not counted.';
COMMENT ON COLUMN contentq.gates.cut_calls IS 'How many tasks its workers had claimed at that time.';
COMMENT ON COLUMN contentq.gates.cut_from IS 'The pace before the cut, in tasks per second; NULL: no limit.';
COMMENT ON COLUMN contentq.gates.cut_running IS 'How many tasks ran at the last cut when the provider refused one more.';
COMMENT ON COLUMN contentq.gates.most_running IS 'How many tasks ran at once at most since the last cut.';
COMMENT ON COLUMN contentq.gates.cut_share IS
    'The share of calls refused before the cut, while it is not known whether the cut helped.';
COMMENT ON COLUMN contentq.gates.cut_twice IS 'Whether the pace was cut a second time to find that out.';
COMMENT ON COLUMN contentq.gates.noise IS 'The share of calls that the provider refuses at any pace.';
COMMENT ON COLUMN contentq.gates.noise_at IS 'When noise was measured; it counts for five minutes.';
COMMENT ON COLUMN contentq.gates.outage_since IS 'Since when the provider has answered nothing; NULL if it answers.';
COMMENT ON COLUMN contentq.gates.level IS 'Token bucket: how many tasks could start at spent_at.';
COMMENT ON COLUMN contentq.gates.spent_at IS 'When tasks were last taken from the bucket.';
COMMENT ON COLUMN contentq.gates.tokens_left IS 'How many tokens could be used at spent_at.';
COMMENT ON COLUMN contentq.gates.tokens_seen IS
    'Tokens that tasks of its workers had used at spent_at, including those expected of running tasks.';
COMMENT ON COLUMN contentq.gates.folded_id IS 'The id of the last row of gate_events that this row includes.';

COMMENT ON TABLE contentq.gate_counts IS
    'Counts of the tasks of workers with several gates at each gate, in one row or more; removed with the worker.';
COMMENT ON COLUMN contentq.gate_counts.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.gate_counts.worker_id IS 'The worker.';
COMMENT ON COLUMN contentq.gate_counts.gate IS 'The gate that its tasks entered.';
COMMENT ON COLUMN contentq.gate_counts.calls IS 'How often its tasks entered it.';
COMMENT ON COLUMN contentq.gate_counts.answered IS 'How often the provider answered.';
COMMENT ON COLUMN contentq.gate_counts.last_answered IS 'When the latest of these calls entered the gate.';
COMMENT ON COLUMN contentq.gate_counts.tokens IS 'Number of tokens of these calls, as far as reported.';

COMMENT ON TABLE contentq.gate_events IS
    'Calls that providers refused or did not answer, as workers reported them; deleted after some minutes.';
COMMENT ON COLUMN contentq.gate_events.id IS 'In the order of the reports.';
COMMENT ON COLUMN contentq.gate_events.key IS 'The gate of the provider.';
COMMENT ON COLUMN contentq.gate_events.at IS 'When it was reported.';
COMMENT ON COLUMN contentq.gate_events.began_at IS 'When the attempt began, or entered the gate.';
COMMENT ON COLUMN contentq.gate_events.kind IS
    'refused; exhausted (the provider reported that nothing is left); or unanswered.';
COMMENT ON COLUMN contentq.gate_events.until IS 'The time that the provider named; NULL when it named none.';
COMMENT ON COLUMN contentq.gate_events.message IS 'The message of the provider, up to 500 characters.';
COMMENT ON COLUMN contentq.gate_events.calls IS 'How many tasks the workers of the gate had claimed at that time.';
COMMENT ON COLUMN contentq.gate_events.answered IS 'How many of their attempts had been answered at that time.';

COMMENT ON TABLE contentq.cap_locks IS
    'Locks under which claims count running tasks of accounts with max_running, and what is left of budgets, so that no '
    'two count at once: one for each account id modulo 64, or digest of a category. Claims skip what is locked and never '
    'wait.';
COMMENT ON COLUMN contentq.cap_locks.place IS '0 to 63.';

COMMENT ON TABLE contentq.durations IS
    'How long tasks take, by category, measured once a minute while settings.deadlines is on.';
COMMENT ON COLUMN contentq.durations.category IS 'The category; empty for tasks without one.';
COMMENT ON COLUMN contentq.durations.median IS 'Median time from the start of the last attempt to completion.';
COMMENT ON COLUMN contentq.durations.measured_at IS 'When it was measured.';

COMMENT ON TABLE contentq.usage IS
    'Cost of attempts, by account, day, model and category. Sum the rows: there may be several for each, so that no report '
    'waits for another. Rows outlive the tasks.';
COMMENT ON COLUMN contentq.usage.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.usage.account_id IS 'The account of the tasks.';
COMMENT ON COLUMN contentq.usage.day IS 'The day (UTC) of the report.';
COMMENT ON COLUMN contentq.usage.model IS 'The model, as the handler reported it; unknown if it did not.';
COMMENT ON COLUMN contentq.usage.category IS
    'The category of the tasks, up to 200 characters; empty for none.';
COMMENT ON COLUMN contentq.usage.attempts IS
    'Number of attempts with usage, including failed ones, and of completed ones that count against a budget.';
COMMENT ON COLUMN contentq.usage.prompt_tokens IS 'Number of input tokens.';
COMMENT ON COLUMN contentq.usage.completion_tokens IS 'Number of output tokens.';
COMMENT ON COLUMN contentq.usage.cost IS 'Cost in the currency of the handler''s prices.';
COMMENT ON COLUMN contentq.usage.largest_cost IS
    'Largest cost of one of these attempts; if costs vary, budgets reserve it for a running task.';

COMMENT ON TABLE contentq.failure_counts IS
    'Number of failed attempts since the queue was created, by error class. Sum the rows: there may be several for each '
    'class, so that no report waits for another.';
COMMENT ON COLUMN contentq.failure_counts.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.failure_counts.error_class IS
    'The error class, as the handler reports it; after 100 classes, new ones are counted as other.';
COMMENT ON COLUMN contentq.failure_counts.attempts IS 'Number of failed attempts.';

COMMENT ON TABLE contentq.budgets IS
    'Maximum cost of attempts in a day or a month (UTC), by account, by category, or both; set with set_budget(). The '
    'monthly budget of an account without a category is accounts.monthly_budget.';
COMMENT ON COLUMN contentq.budgets.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.budgets.account_id IS 'The account whose tasks count; NULL: all accounts together.';
COMMENT ON COLUMN contentq.budgets.category IS 'The category whose tasks count; NULL: all tasks.';
COMMENT ON COLUMN contentq.budgets.period IS 'day or month; both begin at midnight UTC.';
COMMENT ON COLUMN contentq.budgets.amount IS
    'Maximum cost of attempts in the period, in the currency of the handler''s prices.';

COMMENT ON TABLE contentq.budget_events IS
    'When budgets were found to be near their end or used up, so that channel contentq_budgets is notified once: one row '
    'for each budget, for its latest such day or month.';
COMMENT ON COLUMN contentq.budget_events.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.budget_events.account_id IS 'The account of the budget; NULL: all.';
COMMENT ON COLUMN contentq.budget_events.category IS 'The category of the budget; NULL: all.';
COMMENT ON COLUMN contentq.budget_events.period IS 'day or month.';
COMMENT ON COLUMN contentq.budget_events.began_on IS 'First day of that day or month.';
COMMENT ON COLUMN contentq.budget_events.amount IS 'The budget at that time; a budget that changes is reported again.';
COMMENT ON COLUMN contentq.budget_events.near_at IS 'When it was found to exceed settings.budget_warning.';
COMMENT ON COLUMN contentq.budget_events.used_up_at IS 'When it was found to be used up; NULL: not yet.';
