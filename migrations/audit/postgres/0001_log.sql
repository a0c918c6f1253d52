-- The log, version 1 (docs/entry-format.md). Run by audit/store/postgres.py inside one transaction, with
-- search_path set to the log's schema and {writer} replaced by the name of the role that the service appends as.

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{writer}') THEN  -- making one needs CREATEROLE, using one does not
    CREATE ROLE {writer} NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- roles belong to the whole server
END $$;
DO $$ BEGIN
  IF NOT pg_has_role(CURRENT_USER, '{writer}', 'MEMBER') THEN
    GRANT {writer} TO CURRENT_USER;
  END IF;
END $$;

CREATE TABLE entries (
  seq  bigint PRIMARY KEY CHECK (seq > 0),
  body bytea NOT NULL,                                  -- canonical bytes, as hashed
  hash bytea NOT NULL CHECK (octet_length(hash) = 32)   -- SHA-256(0x00 || body)
);

CREATE TABLE parts (
  seq  bigint NOT NULL,
  n    integer NOT NULL CHECK (n >= 0),                 -- its place in the entry's `records`
  salt bytea NOT NULL CHECK (octet_length(salt) = 32),
  body bytea NOT NULL,
  PRIMARY KEY (seq, n)
);

CREATE TABLE details (
  seq  bigint PRIMARY KEY,
  body bytea NOT NULL                                   -- sealed by the caller
);

CREATE TABLE head (
  one   smallint PRIMARY KEY CHECK (one = 1),
  log   text NOT NULL,
  seq   bigint NOT NULL,
  hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
  fence bigint NOT NULL,
  time  text NOT NULL
) WITH (fillfactor = 10);                               -- room for the row's versions on its one page

-- How far each projection has read. Derived: may be emptied at will.
CREATE TABLE cursors (
  name  text PRIMARY KEY,
  seq   bigint NOT NULL,
  state bytea NOT NULL
);

CREATE TABLE schema_version (version integer NOT NULL);
INSERT INTO schema_version VALUES (0);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only';
END $$;

CREATE FUNCTION only_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.one <> OLD.one OR NEW.log <> OLD.log OR NEW.seq <= OLD.seq OR NEW.fence < OLD.fence
     OR NEW.time COLLATE "C" < OLD.time COLLATE "C" THEN
    RAISE EXCEPTION 'the head of the log only goes forward';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER entries_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER parts_change BEFORE UPDATE OR DELETE OR TRUNCATE ON parts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER details_change BEFORE UPDATE OR DELETE OR TRUNCATE ON details
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_change BEFORE DELETE OR TRUNCATE ON head
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER head_forward BEFORE UPDATE ON head
  FOR EACH ROW EXECUTE FUNCTION only_forward();
-- ALWAYS: a session in replication mode would otherwise pass them by.
ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_change;
ALTER TABLE parts ENABLE ALWAYS TRIGGER parts_change;
ALTER TABLE details ENABLE ALWAYS TRIGGER details_change;
ALTER TABLE head ENABLE ALWAYS TRIGGER head_change;
ALTER TABLE head ENABLE ALWAYS TRIGGER head_forward;

-- The service appends as {writer}, which owns nothing.
GRANT USAGE ON SCHEMA {schema} TO {writer};
GRANT SELECT, INSERT ON entries, parts, details TO {writer};
GRANT SELECT, UPDATE (seq, hash, fence, time) ON head TO {writer};
GRANT SELECT, INSERT, UPDATE, DELETE ON cursors TO {writer};
GRANT SELECT ON schema_version TO {writer};
