-- Version 2.

-- The last end (wall clock) of an attempt that was forgotten: the record is complete after it. NULL: none ever was.
-- And the shortest time in milliseconds that attempts were kept when some were forgotten.
ALTER TABLE progress ADD COLUMN attempts_pruned INTEGER;
ALTER TABLE progress ADD COLUMN attempts_kept_ms INTEGER NOT NULL DEFAULT 9223372036854775807;
UPDATE progress SET attempts_pruned = (SELECT min(leased_wall) FROM attempt), attempts_kept_ms = 0
    WHERE (SELECT min(id) FROM attempt) > 1;

-- The domain of the From field: what a login may be chosen by.
ALTER TABLE message ADD COLUMN header_from TEXT;

-- What `find` knows a message by, as hashes. A bucket is 16,384 queue ids in a row, so that new rows go to few pages that
-- are in memory, and old ones go as a whole. See term.rs.
CREATE TABLE term (
    bucket INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (bucket, hash, message)
) WITHOUT ROWID;
