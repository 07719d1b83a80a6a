-- The queue, regardless of the schema of its table, for programs that do not know the schema. Read and write it like the table.
CREATE OR REPLACE VIEW contentq.tasks WITH (security_invoker = true) AS
SELECT
    t.id, t.task_id, t.content_id, t.account_id, t.topic, t.keywords, t.category, t.requirements, t.tone,
    t.status, t.priority, t.retry_count, t.max_retries,
    t.submitted_at, t.started_at, t.completed_at, t.timeout_at, t.result, t.error_message, t.auto_approve,
    t.created_at, t.updated_at, t.scheduled_at, t.attempt, t.worker_id, t.cancel_requested_at, t.attempt_errors,
    t.progress, t.progress_note, t.gate, t.gate_entered_at, t.handler_state, t.revision_count, t.revision_note,
    t.batch, t.traceparent, t.ready_at
FROM public.content_generation_tasks AS t;

COMMENT ON VIEW contentq.tasks IS
    'Table content_generation_tasks, regardless of its schema. Read and write it like the table.';
