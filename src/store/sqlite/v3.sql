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

-- How much is in the queue; see counts.rs. received_max: the latest time that a message came at.
ALTER TABLE progress ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN under_way INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN received_max INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET
    messages = (SELECT count(*) FROM message WHERE unended > 0),
    waiting = (SELECT count(*) FROM delivery WHERE state = 0),
    held = (SELECT count(*) FROM delivery WHERE state = 1),
    under_way = (SELECT count(*) FROM delivery WHERE state = 2),
    received_max = (SELECT coalesce(max(received), 0) FROM message);
