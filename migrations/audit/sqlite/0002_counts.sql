-- Version 2: allowances, counted in the transaction of the entry that takes of them (audit/claims.py). No evidence: what was shown, and
-- refused, says the entries. A window's rows are emptied once the log's own time is past its end, and never before.

CREATE TABLE counts (
  ends    TEXT NOT NULL,                                             -- when the window ends, as entries write a time
  counter BLOB NOT NULL CHECK (length(counter) BETWEEN 1 AND 64),    -- whose and of what: opaque
  used    INTEGER NOT NULL CHECK (used >= 0),
  PRIMARY KEY (ends, counter)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  ends    TEXT NOT NULL,
  counter BLOB NOT NULL CHECK (length(counter) BETWEEN 1 AND 64),
  member  BLOB NOT NULL CHECK (length(member) BETWEEN 1 AND 64),     -- what was counted: opaque
  PRIMARY KEY (ends, counter, member)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER counts_insert BEFORE INSERT ON counts
WHEN EXISTS (SELECT 1 FROM counts WHERE ends = NEW.ends AND counter = NEW.counter)
BEGIN SELECT RAISE(ABORT, 'a count only rises'); END;
CREATE TRIGGER counts_update BEFORE UPDATE ON counts
WHEN NEW.ends <> OLD.ends OR NEW.counter <> OLD.counter OR NEW.used <= OLD.used
BEGIN SELECT RAISE(ABORT, 'a count only rises'); END;
CREATE TRIGGER counts_delete BEFORE DELETE ON counts
WHEN OLD.ends > coalesce((SELECT time FROM head), '')
BEGIN SELECT RAISE(ABORT, 'a count stays until its window has ended'); END;

CREATE TRIGGER members_insert BEFORE INSERT ON members
WHEN EXISTS (SELECT 1 FROM members WHERE ends = NEW.ends AND counter = NEW.counter AND member = NEW.member)
BEGIN SELECT RAISE(ABORT, 'what was counted stays'); END;
CREATE TRIGGER members_update BEFORE UPDATE ON members
BEGIN SELECT RAISE(ABORT, 'what was counted stays'); END;
CREATE TRIGGER members_delete BEFORE DELETE ON members
WHEN OLD.ends > coalesce((SELECT time FROM head), '')
BEGIN SELECT RAISE(ABORT, 'what was counted stays until its window has ended'); END;
