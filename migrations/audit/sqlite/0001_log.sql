-- The log, version 1 (docs/entry-format.md). Run by audit/store/sqlite.py inside one transaction.

CREATE TABLE entries (
  seq  INTEGER PRIMARY KEY CHECK (seq > 0),
  body BLOB NOT NULL,                             -- canonical bytes, as hashed
  hash BLOB NOT NULL CHECK (length(hash) = 32)    -- SHA-256(0x00 || body)
) STRICT;

CREATE TABLE parts (
  seq  INTEGER NOT NULL,
  n    INTEGER NOT NULL CHECK (n >= 0),           -- its place in the entry's `records`
  salt BLOB NOT NULL CHECK (length(salt) = 32),
  body BLOB NOT NULL,
  PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE details (
  seq  INTEGER PRIMARY KEY,
  body BLOB NOT NULL                              -- sealed by the caller
) STRICT;

CREATE TABLE head (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  log   TEXT NOT NULL,
  seq   INTEGER NOT NULL,
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  fence INTEGER NOT NULL,
  time  TEXT NOT NULL
) STRICT;

-- How far each projection has read. Derived: may be emptied at will.
CREATE TABLE cursors (
  name  TEXT PRIMARY KEY,
  seq   INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;

-- An upsert or INSERT OR REPLACE would delete without asking the DELETE triggers; hence the INSERT triggers.
CREATE TRIGGER entries_insert BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER entries_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER entries_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER parts_insert BEFORE INSERT ON parts
WHEN EXISTS (SELECT 1 FROM parts WHERE seq = NEW.seq AND n = NEW.n)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER parts_update BEFORE UPDATE ON parts
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER parts_delete BEFORE DELETE ON parts
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER details_insert BEFORE INSERT ON details
WHEN EXISTS (SELECT 1 FROM details WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER details_update BEFORE UPDATE ON details
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER details_delete BEFORE DELETE ON details
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER head_insert BEFORE INSERT ON head
WHEN EXISTS (SELECT 1 FROM head)
BEGIN SELECT RAISE(ABORT, 'the log has one head'); END;
CREATE TRIGGER head_update BEFORE UPDATE ON head
WHEN NEW.one <> OLD.one OR NEW.log <> OLD.log OR NEW.seq <= OLD.seq OR NEW.fence < OLD.fence OR NEW.time < OLD.time
BEGIN SELECT RAISE(ABORT, 'the head of the log only goes forward'); END;
CREATE TRIGGER head_delete BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'the log has one head'); END;
