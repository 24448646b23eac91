-- The store: events as they arrived, their deliveries, and every attempt. Times are milliseconds since 1970.

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY,                -- the order in which events were stored
    key       INTEGER NOT NULL,                   -- of (id, source), which are there once: see rows.py
    source    TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    type      TEXT    NOT NULL,
    time      INTEGER,                            -- when it happened, as its envelope says
    stored_at INTEGER NOT NULL,
    sha256    BLOB    NOT NULL,
    raw       BLOB    NOT NULL,                   -- the exact bytes; everything else here is derived from them
    root      INTEGER,                            -- seq of the event that began the chain; NULL if it is this one
    depth     INTEGER NOT NULL,                   -- how many events up the chain until the root
    cause     INTEGER REFERENCES delivery (seq),  -- the delivery that emitted it
    replay    TEXT,                               -- the name of the replay that caused it
    bus       TEXT                                -- the event bus; NULL for the default one
) STRICT;

-- A commit writes a page of each index: there is one where a question is asked for each of many events. What a user asks
-- of them all, such as their types, is answered by reading them all.
CREATE INDEX event_by_root ON event (root) WHERE root IS NOT NULL;
CREATE INDEX event_by_cause ON event (cause) WHERE cause IS NOT NULL;

-- Where an event is by its key. New keys go where few are, and are put among the many others 65,536 at a time: keys are
-- random, and where there are many, nearly each would change a page of its own.
CREATE TABLE event_key (
    merged INTEGER NOT NULL,                      -- 0 for the new ones, 1 for the others
    key    INTEGER NOT NULL,
    event  INTEGER NOT NULL,
    PRIMARY KEY (merged, key, event)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_stored AFTER INSERT ON event BEGIN
    INSERT INTO event_key VALUES (0, NEW.key, NEW.seq);
END;

CREATE TRIGGER event_keys_many AFTER INSERT ON event WHEN NEW.seq % 65536 = 0 BEGIN
    INSERT INTO event_key SELECT 1, key, event FROM event_key WHERE merged = 0 ORDER BY key;
    DELETE FROM event_key WHERE merged = 0;
END;

CREATE TRIGGER event_deleted AFTER DELETE ON event BEGIN
    DELETE FROM event_key WHERE merged IN (0, 1) AND key = OLD.key AND event = OLD.seq;
END;

CREATE TABLE delivery (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again: a late worker may hold a purged one
    event       INTEGER NOT NULL REFERENCES event (seq),
    route       TEXT    NOT NULL,
    handler     TEXT    NOT NULL,
    replay      TEXT    NOT NULL DEFAULT '',      -- '' for the first publication
    state       TEXT    NOT NULL CHECK (state IN ('ready', 'waiting', 'leased', 'done', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    forgiven    INTEGER NOT NULL DEFAULT 0,       -- attempts that limits do not count: before a redrive, interrupted
    created     INTEGER NOT NULL,                 -- from when its age counts
    due         INTEGER,                          -- when it may be attempted; for a lease: when the lease ends
    owner       TEXT,                             -- who holds the lease
    duration_ms INTEGER,                          -- of the last attempt
    error       TEXT,                             -- why it is not done
    condition   TEXT,                             -- of a dead one: the limit that was exhausted
    UNIQUE (event, route, handler, replay),
    CHECK ((state = 'leased') = (owner IS NOT NULL)),
    CHECK ((state IN ('done', 'dead')) = (due IS NULL))
) STRICT;

CREATE INDEX delivery_by_lane ON delivery (handler, route, due) WHERE due IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (seq) WHERE state = 'dead';

CREATE TABLE attempt (
    delivery    INTEGER NOT NULL REFERENCES delivery (seq),
    number      INTEGER NOT NULL,
    started     INTEGER NOT NULL,
    duration_ms INTEGER,
    outcome     TEXT,                             -- NULL while it runs, and for ever if evtool died in it
    code        TEXT,                             -- an exit code, a signal, the class of an exception
    error       TEXT,
    output      TEXT,                             -- the tail of what the handler printed
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
    routes_file BLOB NOT NULL                     -- the path of the routes.yaml that the store belongs to; one row at most
) STRICT;
