-- Version 2: allowances, counted in the transaction of the entry that takes of them (audit/claims.py). No evidence: what was shown, and
-- refused, says the entries. A window's rows are emptied once the log's own time is past its end, and never before.

CREATE TABLE counts (
  ends    text COLLATE "C" NOT NULL,                                          -- when the window ends, as entries write a time
  counter bytea NOT NULL CHECK (octet_length(counter) BETWEEN 1 AND 64),      -- whose and of what: opaque
  used    bigint NOT NULL CHECK (used >= 0),
  PRIMARY KEY (ends, counter)
);

CREATE TABLE members (
  ends    text COLLATE "C" NOT NULL,
  counter bytea NOT NULL CHECK (octet_length(counter) BETWEEN 1 AND 64),
  member  bytea NOT NULL CHECK (octet_length(member) BETWEEN 1 AND 64),       -- what was counted: opaque
  PRIMARY KEY (ends, counter, member)
);

CREATE FUNCTION only_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.ends <> OLD.ends OR NEW.counter <> OLD.counter OR NEW.used <= OLD.used THEN
    RAISE EXCEPTION 'a count only rises';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION only_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.ends > coalesce((SELECT time FROM {schema}.head), '') COLLATE "C" THEN
    RAISE EXCEPTION 'what was counted stays until its window has ended';
  END IF;
  RETURN OLD;
END $$;

CREATE TRIGGER counts_change BEFORE TRUNCATE ON counts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER counts_up BEFORE UPDATE ON counts
  FOR EACH ROW EXECUTE FUNCTION only_up();
CREATE TRIGGER counts_end BEFORE DELETE ON counts
  FOR EACH ROW EXECUTE FUNCTION only_ended();
CREATE TRIGGER members_change BEFORE UPDATE OR TRUNCATE ON members
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER members_end BEFORE DELETE ON members
  FOR EACH ROW EXECUTE FUNCTION only_ended();
ALTER TABLE counts ENABLE ALWAYS TRIGGER counts_change;
ALTER TABLE counts ENABLE ALWAYS TRIGGER counts_up;
ALTER TABLE counts ENABLE ALWAYS TRIGGER counts_end;
ALTER TABLE members ENABLE ALWAYS TRIGGER members_change;
ALTER TABLE members ENABLE ALWAYS TRIGGER members_end;

GRANT SELECT, INSERT, DELETE, UPDATE (used) ON counts TO {writer};
GRANT SELECT, INSERT, DELETE ON members TO {writer};
