-- The errors of tasks: one row for each kind of error, most tasks first.
CREATE OR REPLACE VIEW contentq.error_groups WITH (security_invoker = true) AS
SELECT
    g.error,
    g.tasks,
    g.failed,
    g.timeout,
    g.retrying,
    g.accounts,
    g.first_at,
    g.last_at,
    g.example,
    g.example_message
FROM contentq.group_errors() AS g;

COMMENT ON VIEW contentq.error_groups IS
    'Errors of tasks that failed, timed out or wait for a retry, by kind: error is the message without numbers, ids and '
    'quoted text. To requeue all tasks of a kind: contentq.requeue_matching(error => ...).';
