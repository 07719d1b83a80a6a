-- Refuses a new task whose id was not drawn from the sequence: ids ahead of it would make the inserts of others fail later.
-- Called by: the trigger content_generation_tasks_forged_id, for roles that may name the id of a task and not update its
--            status.
-- Locks: nothing. Returns: the row as it is, if its id is the one that the session has drawn last, as the default does.
-- Raises: 42501 (insufficient_privilege).
-- It reads the sequence with the rights of the owner, since producers have none on it. Where the default of id draws from
-- no sequence, ids are not looked at.
CREATE OR REPLACE FUNCTION contentq.refuse_forged_id()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sequence regclass := pg_get_serial_sequence('public.content_generation_tasks', 'id')::regclass;
BEGIN
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

COMMENT ON FUNCTION contentq.refuse_forged_id() IS
    'Trigger: raises insufficient_privilege for a new task whose id was not drawn from its sequence.';
