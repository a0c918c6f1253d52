-- Who may do what in Gatehouse's database on PostgreSQL. Run once, by a superuser, in the new and empty database: in docker-compose.yml
-- the image of PostgreSQL does so when its volume is empty.
--
--   gatehouse_owner  owns the three schemas; migrates them and does nothing else (tools/prepare.py)
--   gatehouse        serves: owns nothing, changes rows of state and records, becomes audit_writer to append to the log
--   audit_writer     nobody logs in as it; may read and insert entries, move the log's head row forward, and count beside it
--
-- tests/docs/test_deploy_on_postgres.py starts a gateway on what this file makes.

\set ON_ERROR_STOP on
\set there `test -s /run/secrets/owner_password && test -s /run/secrets/gateway_password && echo on || echo off`
\if :there
\else
  DO $$ BEGIN RAISE EXCEPTION 'the passwords of both roles belong into files: docs/deploy.md says how they are made'; END $$;
\endif
\set owner_password `cat /run/secrets/owner_password`
\set gateway_password `cat /run/secrets/gateway_password`

BEGIN;

-- A statement that fails, or is slow, would stand in the server's log with the password in it.
SET LOCAL log_statement = 'none';
SET LOCAL log_min_error_statement = 'panic';
SET LOCAL log_min_duration_statement = -1;

CREATE ROLE gatehouse_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE gatehouse LOGIN PASSWORD :'gateway_password';
-- The log's migration would make it, and could not: its owner may not make roles.
CREATE ROLE audit_writer NOLOGIN;
GRANT audit_writer TO gatehouse_owner WITH ADMIN OPTION;
GRANT audit_writer TO gatehouse;

SELECT current_database() AS database \gset
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, CREATE ON DATABASE :"database" TO gatehouse_owner;
GRANT CONNECT ON DATABASE :"database" TO gatehouse;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- The log's schema is not here: its own migration makes it, and grants no more than audit_writer needs.
CREATE SCHEMA state AUTHORIZATION gatehouse_owner;
CREATE SCHEMA records AUTHORIZATION gatehouse_owner;
GRANT USAGE ON SCHEMA state, records TO gatehouse;
ALTER DEFAULT PRIVILEGES FOR ROLE gatehouse_owner IN SCHEMA state, records
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gatehouse;

COMMIT;
