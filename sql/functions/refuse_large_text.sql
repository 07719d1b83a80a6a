-- Refuses a text that is larger than settings.max_text_bytes, from any role.
-- Called by: the trigger content_generation_tasks_size, for rows with texts of more than 100,000 bytes.
-- Locks: nothing. Returns: the row. Raises: 22001 for a text that is too large.
-- A text that is already stored stays, even if an update writes it again.
-- It runs with the rights of the owner because producers have no rights on the settings.
CREATE OR REPLACE FUNCTION contentq.refuse_large_text()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION contentq.refuse_large_text() IS
    'Trigger: raises 22001 for a text of a task that is larger than settings.max_text_bytes.';
