-- Finds indexes of the three tables that are missing, and indexes that are invalid, as an interrupted CREATE INDEX CONCURRENTLY
-- leaves them.
-- Called by: doctor(). Locks: nothing. Returns: the findings.
-- The indexes are those of the table steps. A table that was taken over needs none that another of its indexes stands for: one
-- that begins with the same column and leaves out no row.
CREATE OR REPLACE FUNCTION contentq.doctor_indexes()
RETURNS TABLE (severity text, finding text, subject text, detail text, why text, mend text)
LANGUAGE sql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH needed (tab, name, definition, first_column) AS (VALUES
        ('accounts', 'accounts_paused_idx', '(paused_until) WHERE paused_until IS NOT NULL', NULL::text),
        ('accounts', 'accounts_max_running_idx', '(max_running) WHERE max_running IS NOT NULL', NULL),
        ('accounts', 'accounts_monthly_budget_idx', '(monthly_budget) WHERE monthly_budget IS NOT NULL', NULL),
        ('contents', 'contents_account_id_idx', '(account_id, (id + 0))', 'account_id'),
        ('contents', 'contents_generation_task_id_idx', '(generation_task_id) WHERE generation_task_id IS NOT NULL',
         'generation_task_id'),
        ('contents', 'contents_review_idx', '((id + 0)) WHERE review_status = ''pending''', NULL),
        ('content_generation_tasks', 'content_generation_tasks_status_idx', '(status)', 'status'),
        ('content_generation_tasks', 'content_generation_tasks_account_id_idx', '(account_id)', 'account_id'),
        ('content_generation_tasks', 'content_generation_tasks_submitted_at_idx', '(submitted_at)', 'submitted_at'),
        ('content_generation_tasks', 'content_generation_tasks_content_id_idx',
         '(content_id) WHERE content_id IS NOT NULL', 'content_id'),
        ('content_generation_tasks', 'content_generation_tasks_batch_idx',
         '(batch, status, account_id) WHERE batch IS NOT NULL', 'batch'),
        ('content_generation_tasks', 'content_generation_tasks_ready_idx',
         '(priority DESC, submitted_at, id) WHERE status = ''pending'' AND scheduled_at IS NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_ready_account_idx',
         '((10 - priority), account_id, submitted_at, id) WHERE status = ''pending'' AND scheduled_at IS NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_ready_category_idx',
         '((10 - priority), category, submitted_at, id) WHERE status = ''pending'' AND scheduled_at IS NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_ready_deadline_idx',
         '((10 - priority), timeout_at, submitted_at, id) '
         'WHERE status = ''pending'' AND scheduled_at IS NULL AND timeout_at IS NOT NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_running_idx',
         '(account_id) WHERE status COLLATE "C" = ''processing''', NULL),
        ('content_generation_tasks', 'content_generation_tasks_scheduled_idx',
         '(scheduled_at, priority DESC, submitted_at, id) WHERE status = ''pending'' AND scheduled_at IS NOT NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_deadline_idx',
         '(timeout_at) WHERE timeout_at IS NOT NULL AND status IN (''pending'', ''processing'')', NULL),
        ('content_generation_tasks', 'content_generation_tasks_held_idx',
         '(worker_id) WHERE status = ''processing'' AND worker_id IS NOT NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_gate_idx',
         '(gate) WHERE status || '''' = ''processing'' AND gate IS NOT NULL', NULL),
        ('content_generation_tasks', 'content_generation_tasks_revoked_idx',
         '(worker_id) WHERE worker_id IS NOT NULL AND (status <> ''processing'' OR cancel_requested_at IS NOT NULL)', NULL),
        ('content_generation_tasks', 'content_generation_tasks_completed_at_idx',
         '(completed_at) WHERE status = ''completed''', NULL),
        ('content_generation_tasks', 'content_generation_tasks_failed_idx', '(id) WHERE status IN (''failed'', ''timeout'')',
         NULL)
    )
    SELECT 'warning', 'index_missing', n.name,
           format('%s has no such index', n.tab),
           'What contentq reads with it, it now looks for in the whole table.',
           format('CREATE INDEX CONCURRENTLY %I ON public.%I %s', n.name, n.tab, n.definition)
    FROM needed AS n
    JOIN contentq.tables AS t ON t.table_name = n.tab
    WHERE (t.is_created OR n.name <> 'contents_account_id_idx')
      AND NOT EXISTS (
          SELECT
          FROM pg_index AS i
          JOIN pg_class AS c ON c.oid = i.indexrelid
          LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = to_regclass('public.' || n.tab)
            AND (c.relname = n.name
                 OR NOT t.is_created AND i.indpred IS NULL AND i.indisvalid AND a.attname = n.first_column)
      )
    UNION ALL
    SELECT 'warning', 'index_invalid', c.relname,
           format('the index on %s is not used, and is written all the same', i.indrelid::regclass),
           'What contentq reads with it, it now looks for in the whole table.',
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

COMMENT ON FUNCTION contentq.doctor_indexes() IS
    'Internal: findings of doctor() about indexes that are missing or invalid.';
