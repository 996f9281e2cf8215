-- Documents are JSON texts with sorted keys. Every number that is given out is AUTOINCREMENT: none
-- is used twice.

-- The moment of the transaction, for the triggers.
CREATE TABLE stamp (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO stamp (id, at) VALUES (1, 0);

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    github TEXT,
    created_at INTEGER NOT NULL
) STRICT;

-- The last session number of each project that there ever was.
CREATE TABLE project_numbers (
    project TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    revision INTEGER NOT NULL,
    is_terminal INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    phase TEXT NOT NULL,
    -- What of the lifecycle is news when it changes.
    axes TEXT NOT NULL,
    -- The record, but for the time of its last change.
    record TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    lifecycle TEXT NOT NULL,
    ledger TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_living ON sessions (project, no) WHERE is_terminal = 0;

-- One row of some bytes for each session ever removed: its id stays used.
CREATE TABLE removed_sessions (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    session TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_facts (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    fact TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sagas (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL UNIQUE REFERENCES sessions (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    -- Step and direction, as events tell them.
    standing TEXT NOT NULL,
    -- What else has to differ for it to have moved on: a retry of the same step is not news.
    trouble TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE deadlines (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (session, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    lane TEXT NOT NULL,
    text TEXT NOT NULL,
    n_stripped INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    is_final INTEGER NOT NULL,
    launch TEXT,
    idempotency_key TEXT,
    origin TEXT,
    incident TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (session, idempotency_key)
) STRICT;
CREATE INDEX messages_of_session ON messages (session, no);
CREATE INDEX messages_unfinished ON messages (no) WHERE is_final = 0;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session TEXT,
    sink TEXT NOT NULL,
    doc TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before TEXT,
    last_error TEXT
) STRICT;
CREATE INDEX outbox_of_session ON outbox (session, seq);
CREATE INDEX outbox_pending ON outbox (session, sink, seq) WHERE state = 'pending';

CREATE TABLE inbox (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session TEXT,
    project TEXT,
    is_read INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX inbox_unread ON inbox (no) WHERE is_read = 0;

CREATE TABLE incidents (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX journal_of_session ON journal (session, seq);

-- The session as it was after the journal entry `seq`: where a replay can begin.
CREATE TABLE journal_bases (
    seq INTEGER PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX journal_bases_of_session ON journal_bases (session, seq);

CREATE TABLE change_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    project TEXT,
    session TEXT,
    revision INTEGER,
    key TEXT,
    became TEXT
) STRICT;

CREATE TRIGGER sessions_insert AFTER INSERT ON sessions BEGIN
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.created', NEW.project, NEW.id, NEW.revision, NEW.verdict FROM stamp;
END;

CREATE TRIGGER sessions_update AFTER UPDATE ON sessions BEGIN
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.changed', NEW.project, NEW.id, NEW.revision, NEW.verdict FROM stamp
    WHERE OLD.axes IS NOT NEW.axes;
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.updated', NEW.project, NEW.id, NEW.revision, NEW.phase FROM stamp
    WHERE OLD.record IS NOT NEW.record;
END;

CREATE TRIGGER sessions_delete AFTER DELETE ON sessions BEGIN
    INSERT INTO change_log (at, type, project, session, revision, became)
    SELECT at, 'session.removed', OLD.project, OLD.id, OLD.revision, OLD.verdict FROM stamp;
END;

CREATE TRIGGER sagas_insert AFTER INSERT ON sagas BEGIN
    INSERT INTO change_log (at, type, project, session, revision, key, became)
    SELECT at, 'saga.changed', project, sessions.id, revision, NEW.kind, NEW.standing
    FROM stamp, sessions WHERE sessions.id = NEW.session;
END;

CREATE TRIGGER sagas_update AFTER UPDATE ON sagas
WHEN OLD.kind IS NOT NEW.kind OR OLD.standing IS NOT NEW.standing OR OLD.trouble IS NOT NEW.trouble
BEGIN
    INSERT INTO change_log (at, type, project, session, revision, key, became)
    SELECT at, 'saga.changed', project, sessions.id, revision, NEW.kind, NEW.standing
    FROM stamp, sessions WHERE sessions.id = NEW.session;
END;

CREATE TRIGGER sagas_delete AFTER DELETE ON sagas BEGIN
    INSERT INTO change_log (at, type, project, session, revision, key, became)
    SELECT at, 'saga.changed', project, sessions.id, revision, OLD.kind, 'ended'
    FROM stamp, sessions WHERE sessions.id = OLD.session;
END;

CREATE TRIGGER messages_insert AFTER INSERT ON messages BEGIN
    INSERT INTO change_log (at, type, project, session, revision, key, became)
    SELECT at, 'message.changed', project, sessions.id, revision, NEW.id, NEW.state
    FROM stamp, sessions WHERE sessions.id = NEW.session;
END;

CREATE TRIGGER messages_update AFTER UPDATE ON messages
WHEN OLD.state IS NOT NEW.state OR OLD.reason IS NOT NEW.reason
BEGIN
    INSERT INTO change_log (at, type, project, session, revision, key, became)
    SELECT at, 'message.changed', project, sessions.id, revision, NEW.id, NEW.state
    FROM stamp, sessions WHERE sessions.id = NEW.session;
END;

CREATE TRIGGER inbox_insert AFTER INSERT ON inbox BEGIN
    INSERT INTO change_log (at, type, project, session, key, became)
    SELECT at, 'inbox.added', NEW.project, NEW.session, NEW.id, 'unread' FROM stamp;
END;

CREATE TRIGGER incidents_insert AFTER INSERT ON incidents BEGIN
    INSERT INTO change_log (at, type, key, became)
    SELECT at, 'incident.changed', NEW.id, NEW.kind FROM stamp;
END;

CREATE TRIGGER projects_insert AFTER INSERT ON projects BEGIN
    INSERT INTO change_log (at, type, project, key)
    SELECT at, 'project.added', NEW.id, NEW.id FROM stamp;
END;

CREATE TRIGGER projects_delete AFTER DELETE ON projects BEGIN
    INSERT INTO change_log (at, type, project, key)
    SELECT at, 'project.removed', OLD.id, OLD.id FROM stamp;
END;
