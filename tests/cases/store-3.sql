-- A store of version 3, as evtool wrote it: it must open for ever, with all that is in it (tests/test_migrations.py).
-- Once version 3 is released this file is never changed again.

PRAGMA application_id = 1702261809;
PRAGMA user_version = 3;

CREATE TABLE event (
    seq       INTEGER PRIMARY KEY,                -- the order in which events were stored
    key       INTEGER NOT NULL,                   -- of (id, source), which are there once: see event_key in stored.py
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

INSERT INTO project VALUES (CAST('/srv/shop/routes.yaml' AS BLOB));

-- event: seq, key, source, id, type, time, stored_at, sha256, raw, root, depth, cause, replay, bus
INSERT INTO event VALUES
  (1, 6152722361947491262, 'shop.checkout', 'order-1', 'order.created', 1795428000000, 1795428000000, X'85CA3B41B62584DBF25446174488D8C5D65F3DA4CE885DAAC4D2A04895CC74D2', CAST('{"version": "0", "id": "order-1", "detail-type": "order.created", "source": "shop.checkout", "account": "000000000000", "time": "2026-11-23T10:00:00Z", "region": "us-east-1", "resources": [], "detail": {"orderId": "o-1"}}' AS BLOB), NULL, 0, NULL, NULL, 'orders');
INSERT INTO event VALUES
  (2, 3163049681903135601, 'charge-card', 'payment-1', 'payment.authorized', 1795428000000, 1795428000050, X'9102C6BFBBC39898948E89ECA1E9FAD157ADC6FF24643FBCAE6E78E1B142EE5C', CAST('{"version": "0", "id": "payment-1", "detail-type": "payment.authorized", "source": "charge-card", "account": "000000000000", "time": "2026-11-23T10:00:00Z", "region": "us-east-1", "resources": [], "detail": {"orderId": "o-1"}}' AS BLOB), 1, 1, 1, NULL, 'orders');
INSERT INTO event VALUES
  (3, -606415726698303214, 'shop.cart', 'cart-1', 'cart.abandoned', 1795428000000, 1795428000600, X'A893C37F688AD4147274CB1464493164D01DC57E5D88E6BCF5AA90C87B54EBAF', CAST('{"version": "0", "id": "cart-1", "detail-type": "cart.abandoned", "source": "shop.cart", "account": "000000000000", "time": "2026-11-23T10:00:00Z", "region": "us-east-1", "resources": [], "detail": {"orderId": "o-1"}}' AS BLOB), NULL, 0, NULL, NULL, NULL);

-- delivery: seq, event, route, handler, replay, state, attempts, forgiven, created, due, owner, duration_ms, error, condition
INSERT INTO delivery VALUES
  (1, 1, 'pay-for-order', 'charge-card', '', 'done', 1, 0, 1795428000000, NULL, NULL, 48, NULL, NULL);
INSERT INTO delivery VALUES
  (2, 1, 'keep-order', 'order-database', '', 'dead', 1, 0, 1795428000000, NULL, NULL, 7, 'exit 3: no such shelf', 'MaximumRetryAttempts');
INSERT INTO delivery VALUES
  (3, 1, 'count', 'counter', '', 'waiting', 0, 0, 1795428000000, 1795428060000, NULL, NULL, 'there is no program counter on PATH', NULL);
INSERT INTO delivery VALUES
  (4, 1, 'page', 'pager', '', 'ready', 1, 0, 1795428000000, 1795428001000, NULL, 5, 'took longer than 5s', NULL);
INSERT INTO delivery VALUES
  (5, 2, 'confirm-order', 'confirmation-email', '', 'leased', 1, 0, 1795428000050, 1795428090060, 'killed', NULL, NULL, NULL);
INSERT INTO delivery VALUES
  (6, 1, 'pay-for-order', 'charge-card', 'again', 'ready', 0, 0, 1795428000500, 1795428000500, NULL, NULL, NULL, NULL);

-- attempt: delivery, number, started, duration_ms, outcome, code, error, output
INSERT INTO attempt VALUES
  (1, 1, 1795428000000, 48, 'done', NULL, NULL, 'charged' || char(10) || '');
INSERT INTO attempt VALUES
  (2, 1, 1795428000001, 7, 'failed', '3', 'exit 3: no such shelf', 'no such shelf' || char(10) || '');
INSERT INTO attempt VALUES
  (4, 1, 1795428000003, 5, 'timeout', NULL, 'took longer than 5s', NULL);
INSERT INTO attempt VALUES
  (5, 1, 1795428000060, NULL, NULL, NULL, NULL, NULL);
