-- What a session has used changes all the time and is no news.
DROP TRIGGER sessions_update;
CREATE TRIGGER sessions_update AFTER UPDATE ON sessions BEGIN
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.changed', NEW.project, NEW.id, NEW.revision, NEW.verdict FROM stamp
    WHERE OLD.axes IS NOT NEW.axes;
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.updated', NEW.project, NEW.id, NEW.revision, NEW.phase FROM stamp
    WHERE OLD.record IS NOT NEW.record
        AND json_remove(OLD.record, '$.usage') IS NOT json_remove(NEW.record, '$.usage');
END;
