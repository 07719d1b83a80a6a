-- The comments of tables and columns. Like functions, views and triggers, they are kept by each migration; of tables that
-- were there before contentq only columns that it has added, or that have no comment, get theirs.

COMMENT ON TABLE public.accounts IS 'Whom content is generated for.';
COMMENT ON COLUMN public.accounts.id IS 'Identifier that tasks and contents refer to.';
COMMENT ON COLUMN public.accounts.name IS 'Name shown to people, up to 200 characters.';
COMMENT ON COLUMN public.accounts.created_at IS 'When the account was added.';
COMMENT ON COLUMN public.accounts.external_id IS
    'What another system calls the account, such as its uuid; unique where set.';
COMMENT ON COLUMN public.accounts.paused_until IS
    'No task of the account is claimed before this time; infinity: until it is set to NULL.';
COMMENT ON COLUMN public.accounts.monthly_budget IS
    'What attempts may cost in a month (UTC); NULL: no limit. Other budgets are in contentq.budgets.';
COMMENT ON COLUMN public.accounts.share IS
    'Weight in fair order (settings.claim_order): an account with 3 runs three times as many tasks as one with 1.';
COMMENT ON COLUMN public.accounts.max_running IS
    'Most tasks of the account that run at once, in any order of claims; NULL: no limit.';

COMMENT ON TABLE public.contents IS 'What completed tasks produced: one row a piece of content.';
COMMENT ON COLUMN public.contents.id IS 'Identifier that tasks refer to.';
COMMENT ON COLUMN public.contents.account_id IS 'The account that it was made for.';
COMMENT ON COLUMN public.contents.title IS 'Title, up to 500 characters.';
COMMENT ON COLUMN public.contents.body IS 'The text itself, in Markdown.';
COMMENT ON COLUMN public.contents.word_count IS 'Words in the body; a CJK character counts as one.';
COMMENT ON COLUMN public.contents.review_status IS
    'pending, approved or rejected; approved at once when the task has auto_approve.';
COMMENT ON COLUMN public.contents.created_at IS 'When the content was stored.';
COMMENT ON COLUMN public.contents.generation_task_id IS
    'Id of the task that produced it: all versions of what a task produced have the same, the newest has the largest id. The '
    'task may have been deleted since.';
COMMENT ON COLUMN public.contents.reviewed_by IS 'Who approved or rejected it last; NULL: nobody has.';
COMMENT ON COLUMN public.contents.reviewed_at IS 'When that was.';
COMMENT ON COLUMN public.contents.review_note IS
    'What the reviewer said of it; of a draft whose checks failed, these.';

COMMENT ON TABLE public.content_generation_tasks IS
    'The queue: one row follows one piece of content from its submission to its end. '
    'A producer names account_id and whatever else it likes; every other column has a default.';
COMMENT ON COLUMN public.content_generation_tasks.id IS 'Internal identifier (4 bytes by specification).';
COMMENT ON COLUMN public.content_generation_tasks.task_id IS
    'Public identifier; task-<32 hex digits> when the inserter leaves it out.';
COMMENT ON COLUMN public.content_generation_tasks.content_id IS 'The content that the task produced; NULL until then.';
COMMENT ON COLUMN public.content_generation_tasks.account_id IS 'The account that it works for.';
COMMENT ON COLUMN public.content_generation_tasks.topic IS 'Subject, up to 500 characters.';
COMMENT ON COLUMN public.content_generation_tasks.keywords IS 'Comma-separated, up to 500 characters.';
COMMENT ON COLUMN public.content_generation_tasks.category IS
    'Category, up to 100 characters; a worker can claim by it.';
COMMENT ON COLUMN public.content_generation_tasks.requirements IS 'Special instructions to the handler.';
COMMENT ON COLUMN public.content_generation_tasks.tone IS 'Style of voice, up to 50 characters.';
COMMENT ON COLUMN public.content_generation_tasks.status IS 'pending, processing, completed, failed or timeout.';
COMMENT ON COLUMN public.content_generation_tasks.priority IS '1 to 10; larger is more urgent.';
COMMENT ON COLUMN public.content_generation_tasks.retry_count IS 'Retries charged so far.';
COMMENT ON COLUMN public.content_generation_tasks.max_retries IS
    'Retries allowed after the first attempt: max_retries + 1 attempts in all.';
COMMENT ON COLUMN public.content_generation_tasks.submitted_at IS
    'When it was submitted; within a priority, older is claimed first.';
COMMENT ON COLUMN public.content_generation_tasks.started_at IS 'Start of the latest attempt.';
COMMENT ON COLUMN public.content_generation_tasks.completed_at IS 'When it became completed.';
COMMENT ON COLUMN public.content_generation_tasks.timeout_at IS
    'Deadline of the whole task, waiting included; past it the task becomes timeout.';
COMMENT ON COLUMN public.content_generation_tasks.result IS
    'What the handler returned, e.g. {"success": true, "content_id": 123, "word_count": 1500}.';
COMMENT ON COLUMN public.content_generation_tasks.error_message IS 'The latest error; NULL once completed.';
COMMENT ON COLUMN public.content_generation_tasks.auto_approve IS
    'Whether the content that the task produces is approved without review.';
COMMENT ON COLUMN public.content_generation_tasks.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN public.content_generation_tasks.updated_at IS 'When the row was last updated; kept by a trigger.';
COMMENT ON COLUMN public.content_generation_tasks.scheduled_at IS
    'Not to be claimed before this time (delay or backoff); NULL means ready now, and it becomes NULL once due.';
COMMENT ON COLUMN public.content_generation_tasks.attempt IS
    'Fencing token: +1 at each claim, never reset. An outcome counts only with the current value.';
COMMENT ON COLUMN public.content_generation_tasks.worker_id IS
    'The worker that holds the task, or that has still to be told that it no longer does.';
COMMENT ON COLUMN public.content_generation_tasks.cancel_requested_at IS
    'When cancelling was asked for while it was running; it can only end failed.';
COMMENT ON COLUMN public.content_generation_tasks.attempt_errors IS
    'The last 20 failures: array of {attempt, at, worker_id, error_class, message}.';
COMMENT ON COLUMN public.content_generation_tasks.progress IS
    'How far the latest attempt is, from 0 to 1, as its handler says; NULL when it does not.';
COMMENT ON COLUMN public.content_generation_tasks.gate IS
    'The gate that the latest attempt has entered, of a worker with several; NULL for workers with one gate or none.';
COMMENT ON COLUMN public.content_generation_tasks.gate_entered_at IS 'When it entered that gate.';
COMMENT ON COLUMN public.content_generation_tasks.progress_note IS
    'What the handler of the latest attempt says of its progress.';
COMMENT ON COLUMN public.content_generation_tasks.revision_count IS
    'Revisions of its content asked for so far, since checks of it failed; no retry is charged for them.';
COMMENT ON COLUMN public.content_generation_tasks.revision_note IS
    'What the next attempt is to change in the content: the checks that failed, one a line, or a reviewer''s note; NULL '
    'once completed.';
COMMENT ON COLUMN public.content_generation_tasks.handler_state IS
    'What the handler that snoozed the task keeps for its next attempt: a JSON object of up to 8192 bytes.';
COMMENT ON COLUMN public.content_generation_tasks.batch IS
    'What was submitted together, up to 100 characters: any name that the producer chooses. See the view batches.';
COMMENT ON COLUMN public.content_generation_tasks.traceparent IS
    'Trace context of whoever submitted it (W3C): attempts are spans of that trace.';
COMMENT ON COLUMN public.content_generation_tasks.ready_at IS
    'When the task became ready for its latest attempt, other than by its submission: at its scheduled time, after a retry, '
    'put back by an operator. NULL: at its submission.';

COMMENT ON TABLE contentq.needed_indexes IS 'The indexes of the three tables that contentq reads with; doctor() tells of those that are missing.';
COMMENT ON COLUMN contentq.needed_indexes.table_name IS 'accounts, contents or content_generation_tasks.';
COMMENT ON COLUMN contentq.needed_indexes.name IS 'The name of the index.';
COMMENT ON COLUMN contentq.needed_indexes.definition IS 'Its columns and condition, as CREATE INDEX takes them.';
COMMENT ON COLUMN contentq.needed_indexes.first_column IS
    'On a table that was there before contentq, another index that begins with this column and leaves out no row will do.';
COMMENT ON TABLE contentq.tables IS
    'Where accounts, contents and content_generation_tasks are, and what contentq made of them: only that is dropped '
    'by a downgrade.';
COMMENT ON COLUMN contentq.tables.table_name IS 'accounts, contents or content_generation_tasks.';
COMMENT ON COLUMN contentq.tables.schema_name IS 'The schema that it is in.';
COMMENT ON COLUMN contentq.tables.is_created IS 'Whether contentq created it; false: it was taken over.';
COMMENT ON COLUMN contentq.tables.added IS
    'Of a table that was taken over: the statements that remove what was added to it; of any, those that remove its row '
    'level security.';

COMMENT ON TABLE contentq.definitions IS
    'The functions, views and triggers that contentq migrate has created: by these digests it finds those that were '
    'changed since, or that another version of contentq defines otherwise.';
COMMENT ON COLUMN contentq.definitions.kind IS 'function, view or trigger.';
COMMENT ON COLUMN contentq.definitions.name IS 'Its name; of a trigger, with the table before it.';
COMMENT ON COLUMN contentq.definitions.source IS 'MD5 digest of the text that it was created from.';
COMMENT ON COLUMN contentq.definitions.installed IS 'MD5 digest of its definition and comment in the catalogue after that.';

COMMENT ON TABLE contentq.workers IS
    'The workers that are alive, one row each, updated by their heartbeats; a worker that stops or dies is removed.';
COMMENT ON COLUMN contentq.workers.id IS 'Given at registration: a random number, never used twice.';
COMMENT ON COLUMN contentq.workers.hostname IS 'The machine it runs on.';
COMMENT ON COLUMN contentq.workers.pid IS 'Its process id on that machine.';
COMMENT ON COLUMN contentq.workers.started_at IS 'When it registered.';
COMMENT ON COLUMN contentq.workers.heartbeat_at IS 'When it was last heard, by the clock of the database.';
COMMENT ON COLUMN contentq.workers.slots IS 'How many tasks it runs at once.';
COMMENT ON COLUMN contentq.workers.busy IS 'How many tasks it ran at its last heartbeat.';
COMMENT ON COLUMN contentq.workers.handler IS 'The handler that it runs.';
COMMENT ON COLUMN contentq.workers.gate IS 'Key of the gate that pauses it; NULL when it has none, or several.';
COMMENT ON COLUMN contentq.workers.gates IS
    'Keys of the gates of which each of its tasks enters one; NULL when it has one gate, or none.';
COMMENT ON COLUMN contentq.workers.version IS 'Version of the program.';
COMMENT ON COLUMN contentq.workers.draining IS 'True when it claims no more and is about to leave.';
COMMENT ON COLUMN contentq.workers.login IS
    'The login that registered it: functions refuse calls of any other for this worker.';

COMMENT ON COLUMN contentq.workers.categories IS 'The categories that it claims; NULL: all tasks.';

COMMENT ON TABLE contentq.claimers IS
    'What the claims and reports of a worker have added up to, and what its claims remember; removed with the worker.';
COMMENT ON COLUMN contentq.claimers.worker_id IS 'The worker.';
COMMENT ON COLUMN contentq.claimers.calls IS 'Tasks that it has claimed; counted for workers with one gate.';
COMMENT ON COLUMN contentq.claimers.answered IS
    'Attempts that ended with an answer of the provider; counted for workers with one gate.';
COMMENT ON COLUMN contentq.claimers.last_answered IS 'When the latest of these attempts had begun.';
COMMENT ON COLUMN contentq.claimers.tokens IS 'Tokens that these attempts have taken, as far as their results say.';
COMMENT ON COLUMN contentq.claimers.quick_failures IS
    'Attempts in a row that failed within a second; from 5 on it is slowed until one goes well.';
COMMENT ON COLUMN contentq.claimers.failed_at IS 'When the last of these failed.';
COMMENT ON COLUMN contentq.claimers.memory IS
    'What its next claims need not find out again: places in the ready index, accounts over budget, and whose turn it is in '
    'fair order, by priority. Without it, claims only read more, and turns begin anew.';

COMMENT ON TABLE contentq.provider_batches IS
    'Batches of requests at a provider, and those that are about to be sent; the view provider_batch_status shows them. Rows are deleted '
    'after settings.retention, or 30 days when that is NULL.';
COMMENT ON COLUMN contentq.provider_batches.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.provider_batches.key IS
    'Stands in the metadata of the batch at the provider, by which it is found again after a crash.';
COMMENT ON COLUMN contentq.provider_batches.provider IS 'The address of its API.';
COMMENT ON COLUMN contentq.provider_batches.model IS 'The model that is asked.';
COMMENT ON COLUMN contentq.provider_batches.status IS
    'opening until it is known to be at the provider, then what that says; withdrawn when it never was there.';
COMMENT ON COLUMN contentq.provider_batches.requests IS 'How many requests it was made of.';
COMMENT ON COLUMN contentq.provider_batches.completed IS 'How many of them are done, as the provider says.';
COMMENT ON COLUMN contentq.provider_batches.failed IS 'How many of them have failed, as the provider says.';
COMMENT ON COLUMN contentq.provider_batches.provider_id IS 'Its id at the provider; NULL while it is not known to be there.';
COMMENT ON COLUMN contentq.provider_batches.input_file IS 'The id of the file of requests at the provider.';
COMMENT ON COLUMN contentq.provider_batches.opened_at IS 'When its requests were chosen.';
COMMENT ON COLUMN contentq.provider_batches.sent_at IS 'When it was known to be at the provider.';
COMMENT ON COLUMN contentq.provider_batches.expires_at IS 'When the provider gives up what is not done by then.';
COMMENT ON COLUMN contentq.provider_batches.ended_at IS 'When all of its answers were stored.';
COMMENT ON COLUMN contentq.provider_batches.error IS 'What has gone wrong with it; NULL when the last look went well.';
COMMENT ON COLUMN contentq.provider_batches.failures IS 'How many looks in a row have gone wrong.';
COMMENT ON COLUMN contentq.provider_batches.due_at IS 'When it is to be looked at next.';
COMMENT ON COLUMN contentq.provider_batches.tended_by IS 'The worker that has its lease; NULL for none.';
COMMENT ON COLUMN contentq.provider_batches.tended_until IS 'When the lease ends, unless it is kept.';
COMMENT ON COLUMN contentq.provider_batches.tending IS 'Fencing token: +1 each time that the lease changes hands.';

COMMENT ON TABLE contentq.batch_requests IS
    'What attempts have asked a provider, to go with a batch, and the answers, until their tasks have ended.';
COMMENT ON COLUMN contentq.batch_requests.id IS 'The id of the task.';
COMMENT ON COLUMN contentq.batch_requests.attempt IS 'The attempt that has asked; the task names it in handler_state.';
COMMENT ON COLUMN contentq.batch_requests.account_id IS 'The account of the task.';
COMMENT ON COLUMN contentq.batch_requests.category IS 'The category of the task, up to 200 characters; empty for none.';
COMMENT ON COLUMN contentq.batch_requests.provider IS 'The address of the API.';
COMMENT ON COLUMN contentq.batch_requests.model IS 'The model that is asked.';
COMMENT ON COLUMN contentq.batch_requests.body IS 'The request, as JSON.';
COMMENT ON COLUMN contentq.batch_requests.asked_at IS 'When it was asked.';
COMMENT ON COLUMN contentq.batch_requests.due_at IS 'Not to be sent before this time.';
COMMENT ON COLUMN contentq.batch_requests.batch_id IS 'The batch that it went with, or goes with; NULL: it waits for one.';
COMMENT ON COLUMN contentq.batch_requests.sendings IS 'How often it was sent; more than once when a batch has expired.';
COMMENT ON COLUMN contentq.batch_requests.answered_at IS 'When the answer was stored.';
COMMENT ON COLUMN contentq.batch_requests.status_code IS 'The HTTP status of the answer.';
COMMENT ON COLUMN contentq.batch_requests.answer IS 'The body of the answer, as JSON.';
COMMENT ON COLUMN contentq.batch_requests.usage IS 'What the answer has cost, as JSON.';
COMMENT ON COLUMN contentq.batch_requests.is_taken IS 'Whether an attempt has got the answer, and reports what it has cost.';

COMMENT ON TABLE contentq.dead_workers IS
    'The workers that were found dead, and the tasks that were taken from them; rows are deleted after '
    'settings.retention, or 30 days when that is NULL. See also the view rescued_tasks.';
COMMENT ON COLUMN contentq.dead_workers.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.dead_workers.found_at IS 'When its tasks were taken from it.';
COMMENT ON COLUMN contentq.dead_workers.worker_id IS 'The id that it was registered with.';
COMMENT ON COLUMN contentq.dead_workers.hostname IS
    'The machine it ran on; this and the following are NULL when it was not registered any more.';
COMMENT ON COLUMN contentq.dead_workers.pid IS 'Its process id on that machine.';
COMMENT ON COLUMN contentq.dead_workers.handler IS 'The handler that it ran.';
COMMENT ON COLUMN contentq.dead_workers.version IS 'Version of the program.';
COMMENT ON COLUMN contentq.dead_workers.started_at IS 'When it had registered.';
COMMENT ON COLUMN contentq.dead_workers.heartbeat_at IS 'When it was last heard.';
COMMENT ON COLUMN contentq.dead_workers.draining IS
    'Whether it had been told to stop: then its tasks were not charged a retry.';
COMMENT ON COLUMN contentq.dead_workers.ids IS 'The tasks that were taken from it.';
COMMENT ON COLUMN contentq.dead_workers.attempts IS 'The attempts at them that were lost, in the same order.';

COMMENT ON TABLE contentq.settings IS 'The settings of the queue: one row, changed with UPDATE, in force at once.';
COMMENT ON COLUMN contentq.settings.only_row IS 'Always true: keeps the table at one row.';
COMMENT ON COLUMN contentq.settings.backoff_base IS 'Longest delay before the first retry; doubled at each further one.';
COMMENT ON COLUMN contentq.settings.backoff_max IS 'Longest delay before any retry.';
COMMENT ON COLUMN contentq.settings.heartbeat_timeout IS
    'How long a worker may be silent before its tasks are rescued; at least 5 seconds, since it beats every 2.';
COMMENT ON COLUMN contentq.settings.retention IS
    'Age at which workers delete completed tasks (their content stays); NULL keeps them for ever.';
COMMENT ON COLUMN contentq.settings.failed_retention IS
    'Age at which maintain() deletes tasks that ended failed or timeout; NULL: never.';
COMMENT ON COLUMN contentq.settings.notify_reviewers IS
    'Whether sessions that LISTEN contentq_review are notified of content that waits for its review.';
COMMENT ON COLUMN contentq.settings.max_text_bytes IS
    'Bytes up to which a text of a task is accepted, in UTF-8: requirements and the others; at least 100000.';
COMMENT ON COLUMN contentq.settings.max_workers_per_login IS
    'Workers that one login may have registered at a time; register_worker() refuses more.';
COMMENT ON COLUMN contentq.settings.claim_order IS
    'Order inside a priority: strict (by submitted_at), or fair (what runs is shared out between accounts by share).';
COMMENT ON COLUMN contentq.settings.aging IS
    'Tasks that were submitted longer ago get every other slot, whatever their priority; NULL: never.';
COMMENT ON COLUMN contentq.settings.deadlines IS
    'Whether tasks with a deadline start first inside a priority, the earliest first, and those that cannot finish in time '
    'are ended.';
COMMENT ON COLUMN contentq.settings.budget_warning IS
    'Part of a budget from which on it is near its end, of which channel contentq_budgets is notified; NULL: never.';

COMMENT ON TABLE contentq.maintenance IS 'When the housekeeping of maintain() was done last: one row.';
COMMENT ON COLUMN contentq.maintenance.only_row IS 'Always true: keeps the table at one row.';
COMMENT ON COLUMN contentq.maintenance.ran_at IS 'The last call of maintain() that did something.';
COMMENT ON COLUMN contentq.maintenance.watched_since IS
    'Since when such calls have come without a gap; a worker''s silence counts only within that time.';
COMMENT ON COLUMN contentq.maintenance.cleaned_at IS 'When the clean-up last found nothing more to delete.';
COMMENT ON COLUMN contentq.maintenance.budgets_due_at IS
    'When budgets are looked at again: so seldom that it takes a fiftieth of the time at most.';

COMMENT ON TABLE contentq.account_roles IS
    'Who sees which accounts: with row level security on, a role and its members see and insert what is of these accounts.';
COMMENT ON COLUMN contentq.account_roles.role_name IS 'A login, or a group of logins.';
COMMENT ON COLUMN contentq.account_roles.account_id IS 'An account that it may see, and insert tasks for.';

COMMENT ON TABLE contentq.awaited IS
    'Internal: tasks and batches whose end somebody waits for (wait_channel); a row goes when it has ended.';
COMMENT ON COLUMN contentq.awaited.id IS 'In the order of asking; the same may be awaited in two rows.';
COMMENT ON COLUMN contentq.awaited.kind IS 'task or batch.';
COMMENT ON COLUMN contentq.awaited.name IS 'Its task_id, or the name of the batch.';
COMMENT ON COLUMN contentq.awaited.since IS 'When somebody first asked; maintain() forgets it after a day.';
COMMENT ON TABLE contentq.wakeups IS
    'A row for each twentieth of a second, again and again: of the transactions that submit tasks and commit at the same '
    'time, the one that has locked it notifies the workers for all.';
COMMENT ON COLUMN contentq.wakeups.slot IS 'Twentieths of a second since 1970, modulo 1000.';

COMMENT ON TABLE contentq.silent_commits IS
    'Rows that transactions lock which commit tasks and leave it to another one to notify: claims see by it that more '
    'tasks are about to be visible.';
COMMENT ON COLUMN contentq.silent_commits.place IS 'The process id of the session, modulo 64.';

COMMENT ON TABLE contentq.gates IS
    'What is set and known of providers: how many tasks of the workers that registered with a gate may start now. A gate '
    'that was neither set nor closed, and of which no refusal was reported, has no row.';
COMMENT ON COLUMN contentq.gates.key IS 'What workers register with, such as a provider''s host; * is every worker''s.';
COMMENT ON COLUMN contentq.gates.opens_at IS
    'Until then none of its workers claims anything; infinity: until someone calls open_gate().';
COMMENT ON COLUMN contentq.gates.reason IS 'Why it was closed the last time, up to 500 characters.';
COMMENT ON COLUMN contentq.gates.half_open IS
    'Whether, once its time has come, one task of the fleet is to show that the provider answers.';
COMMENT ON COLUMN contentq.gates.closed_at IS 'When it was closed the last time.';
COMMENT ON COLUMN contentq.gates.closed_by IS
    'Who closed it: user, program, address; contentq: what was reported of the provider.';
COMMENT ON COLUMN contentq.gates.requests_per_minute IS 'Set by operators: how many tasks may start a minute.';
COMMENT ON COLUMN contentq.gates.tokens_per_minute IS
    'Set by operators: how many tokens tasks may take a minute, as their results say (prompt_tokens, completion_tokens).';
COMMENT ON COLUMN contentq.gates.max_running IS 'Set by operators: how many tasks of its workers may run at once.';
COMMENT ON COLUMN contentq.gates.peak IS
    'Learned: tasks a second that the provider took when refusals last cut the pace; NULL: nothing limits it.';
COMMENT ON COLUMN contentq.gates.grown IS
    'Seconds for which the pace has limited its workers since it was cut: what it has grown by follows from them.';
COMMENT ON COLUMN contentq.gates.is_ramping IS
    'Whether the pace doubles each second, since the limit is not known well yet.';
COMMENT ON COLUMN contentq.gates.cut_at IS
    'When it was cut, or went back after a trial: refusals of attempts that began before are no news.';
COMMENT ON COLUMN contentq.gates.cut_calls IS 'How many tasks its workers had claimed then.';
COMMENT ON COLUMN contentq.gates.cut_from IS 'The pace before the cut, in tasks a second; NULL: there was none.';
COMMENT ON COLUMN contentq.gates.cut_share IS
    'The share of calls that was refused before the cut, while it is not clear whether the cut has helped.';
COMMENT ON COLUMN contentq.gates.cut_twice IS 'Whether it was cut a second time to find that out.';
COMMENT ON COLUMN contentq.gates.noise IS 'The share of calls that the provider refuses at any pace.';
COMMENT ON COLUMN contentq.gates.noise_at IS 'When that was found out; it counts for five minutes.';
COMMENT ON COLUMN contentq.gates.outage_since IS 'Since when the provider answers nothing; NULL when it answers.';
COMMENT ON COLUMN contentq.gates.level IS 'How many tasks could start at spent_at: the token bucket.';
COMMENT ON COLUMN contentq.gates.spent_at IS 'When tasks were last taken from the bucket.';
COMMENT ON COLUMN contentq.gates.tokens_left IS 'How many tokens could be used at spent_at.';
COMMENT ON COLUMN contentq.gates.tokens_seen IS
    'How many tokens its workers'' tasks had taken at spent_at, with what was expected of those that ran.';
COMMENT ON COLUMN contentq.gates.folded_id IS 'Up to which of gate_events what was reported is in this row.';

COMMENT ON TABLE contentq.gate_counts IS
    'What the tasks of workers with several gates have added up to at each gate, in one row or more; removed with the worker.';
COMMENT ON COLUMN contentq.gate_counts.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.gate_counts.worker_id IS 'The worker.';
COMMENT ON COLUMN contentq.gate_counts.gate IS 'The gate that its tasks have entered.';
COMMENT ON COLUMN contentq.gate_counts.calls IS 'How often they have entered it.';
COMMENT ON COLUMN contentq.gate_counts.answered IS 'How often its provider has answered.';
COMMENT ON COLUMN contentq.gate_counts.last_answered IS 'When the latest of these calls had entered.';
COMMENT ON COLUMN contentq.gate_counts.tokens IS 'Tokens that these calls have taken, as far as was said.';

COMMENT ON TABLE contentq.gate_events IS
    'Calls that providers refused or did not answer, as workers reported them: kept for some minutes.';
COMMENT ON COLUMN contentq.gate_events.id IS 'In order of the reports.';
COMMENT ON COLUMN contentq.gate_events.key IS 'The gate of the provider.';
COMMENT ON COLUMN contentq.gate_events.at IS 'When it was reported.';
COMMENT ON COLUMN contentq.gate_events.began_at IS 'When the attempt had begun: started_at of the task.';
COMMENT ON COLUMN contentq.gate_events.kind IS
    'refused; exhausted: the provider said that nothing is left; unanswered.';
COMMENT ON COLUMN contentq.gate_events.until IS 'The time that the provider named; NULL when it named none.';
COMMENT ON COLUMN contentq.gate_events.message IS 'What it said, up to 500 characters.';
COMMENT ON COLUMN contentq.gate_events.calls IS 'How many tasks the gate''s workers had claimed by then.';
COMMENT ON COLUMN contentq.gate_events.answered IS 'How many of their attempts had been answered by then.';

COMMENT ON TABLE contentq.cap_locks IS
    'Under which claims count what runs of an account with max_running, and what budgets have left, so that no two count at '
    'once: by the account''s id modulo 64, or a digest of the category. What is locked is left out of a claim, never waited for.';
COMMENT ON COLUMN contentq.cap_locks.place IS 'From 0 to 63.';

COMMENT ON TABLE contentq.durations IS
    'How long tasks take, by category, measured once a minute while settings.deadlines is on.';
COMMENT ON COLUMN contentq.durations.category IS 'The category; empty for tasks without one.';
COMMENT ON COLUMN contentq.durations.median IS 'Median from the start of the last attempt to its completion.';
COMMENT ON COLUMN contentq.durations.measured_at IS 'When it was measured.';

COMMENT ON TABLE contentq.usage IS
    'What attempts have cost, by account, day, model and category: as many rows of each as were reported at once, to be summed, so '
    'that no report waits for another. It outlives the tasks.';
COMMENT ON COLUMN contentq.usage.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.usage.account_id IS 'The account of the tasks.';
COMMENT ON COLUMN contentq.usage.day IS 'The day (UTC) on which it was reported.';
COMMENT ON COLUMN contentq.usage.model IS 'The model, as the handler named it; unknown when it did not.';
COMMENT ON COLUMN contentq.usage.category IS
    'The category of the tasks, up to 200 characters; empty for tasks that have none.';
COMMENT ON COLUMN contentq.usage.attempts IS
    'Attempts that have cost something, failed ones included, and completed ones that a budget counts.';
COMMENT ON COLUMN contentq.usage.prompt_tokens IS 'Tokens that went in.';
COMMENT ON COLUMN contentq.usage.completion_tokens IS 'Tokens that came out.';
COMMENT ON COLUMN contentq.usage.cost IS 'In the currency of the handler''s prices.';
COMMENT ON COLUMN contentq.usage.largest_cost IS
    'The most that one of these attempts has cost: where costs vary, that much is reserved for a task that runs.';

COMMENT ON TABLE contentq.failure_counts IS
    'Attempts that failed since the queue was made, by the class of their error: as many rows of each as were reported at once, '
    'to be summed, so that no report waits for another.';
COMMENT ON COLUMN contentq.failure_counts.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.failure_counts.error_class IS
    'The class, as the handler''s error has it; of more than 100, those that came later are other.';
COMMENT ON COLUMN contentq.failure_counts.attempts IS 'How many.';

COMMENT ON TABLE contentq.budgets IS
    'What attempts may cost in a day or a month (UTC), by account, by category, or both; set with set_budget(). The budget of an '
    'account for a month, whatever the category, is accounts.monthly_budget.';
COMMENT ON COLUMN contentq.budgets.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.budgets.account_id IS 'The account whose tasks count; NULL: those of all accounts together.';
COMMENT ON COLUMN contentq.budgets.category IS 'The category whose tasks count; NULL: all tasks.';
COMMENT ON COLUMN contentq.budgets.period IS 'day or month; both begin at midnight UTC.';
COMMENT ON COLUMN contentq.budgets.amount IS 'What the attempts may cost in it, in the currency of the handler''s prices.';

COMMENT ON TABLE contentq.budget_events IS
    'When budgets were noticed to be near their end and used up, so that channel contentq_budgets is notified once: a row for '
    'each budget, of its last day or month in which that was so.';
COMMENT ON COLUMN contentq.budget_events.id IS 'Identifier of the row.';
COMMENT ON COLUMN contentq.budget_events.account_id IS 'The account of the budget; NULL: all.';
COMMENT ON COLUMN contentq.budget_events.category IS 'The category of the budget; NULL: all.';
COMMENT ON COLUMN contentq.budget_events.period IS 'day or month.';
COMMENT ON COLUMN contentq.budget_events.began_on IS 'The first day of that day or month.';
COMMENT ON COLUMN contentq.budget_events.amount IS 'What the budget was then: one that is changed is watched anew.';
COMMENT ON COLUMN contentq.budget_events.near_at IS 'When settings.budget_warning was noticed to be passed.';
COMMENT ON COLUMN contentq.budget_events.used_up_at IS 'When it was noticed to be used up; NULL: not yet.';
