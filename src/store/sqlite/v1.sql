-- Version 1. Times are Unix milliseconds on the wall clock unless named _boot.

-- One row: the number of the last batch (so that a commit whose end is unknown can be looked up), the first queue id
-- that is not reserved, and the size of the kept events.
CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    batch INTEGER NOT NULL,
    ids_reserved INTEGER NOT NULL,
    journal_bytes INTEGER NOT NULL
);
INSERT INTO progress VALUES (1, 0, 1, 0);

-- Accounts, destinations, egresses, logins, routes and boots: long texts that recur.
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- flags: 1 8BITMIME, 2 SMTPUTF8 declared, 4 header needs SMTPUTF8, 8 RET=FULL, 16 RET=HDRS, 32 body in the spool.
-- unended: deliveries that are waiting, held or under way. ended: when that became 0.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    received INTEGER NOT NULL,
    ended INTEGER,
    unended INTEGER NOT NULL,
    account INTEGER NOT NULL,
    class INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    report_on INTEGER,
    source TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    client TEXT NOT NULL,
    mta_id TEXT,
    message_id TEXT,
    envid TEXT,
    verdict TEXT
);

-- state: 0 waiting, 1 held, 2 under way, 3 delivered, 4 bounced, 5 removed.
-- again: whether `due` was set by something else than the acceptance, so that a timer must find it.
-- attempt: the row of the attempt that it is under way with.
CREATE TABLE delivery (
    message INTEGER NOT NULL,
    place INTEGER NOT NULL,
    state INTEGER NOT NULL,
    account INTEGER NOT NULL,
    class INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    due INTEGER NOT NULL,
    again INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    attempt INTEGER,
    spent_ms INTEGER NOT NULL,
    delay_reported INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    notify INTEGER,
    original_type TEXT,
    original TEXT,
    reply TEXT,
    PRIMARY KEY (message, place)
) WITHOUT ROWID;
CREATE INDEX delivery_queue ON delivery (state, account, class, destination, due) WHERE state <= 2;
CREATE INDEX delivery_again ON delivery (due) WHERE state = 0 AND again = 1;

-- Gone when the message ends. content is NULL where the body is in the spool.
CREATE TABLE body (message INTEGER PRIMARY KEY, prefix BLOB NOT NULL, content BLOB);

-- state: 0 leased, 1 used, 2 returned, 3 unknown.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    account INTEGER NOT NULL,
    egress INTEGER NOT NULL,
    login INTEGER,
    route INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    leased_boot INTEGER NOT NULL,
    leased_wall INTEGER NOT NULL,
    ended_boot INTEGER,
    ended_wall INTEGER,
    state INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    messages INTEGER NOT NULL
);

CREATE TABLE gate (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, message INTEGER, body TEXT NOT NULL);
CREATE INDEX event_message ON event (message) WHERE message IS NOT NULL;
