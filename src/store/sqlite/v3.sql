-- Version 3.

-- What the rooms that learn keep; see memory.rs beside the trait. updated: when it was written last.
CREATE TABLE memory (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    updated INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX memory_updated ON memory (kind, updated);
