#!/bin/sh
# The role and the database of the ledger. The role owns that database and nothing else.
#
# The image of PostgreSQL runs this when its volume is new. It may be run again at any time: then
# the role gets the password that the secret holds now.
set -eu
if ! [ -s "$LEDGER_PASSWORD_FILE" ]; then
  echo "$0: no password in $LEDGER_PASSWORD_FILE; scripts/make-secrets makes it" >&2
  exit 1
fi
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
\set password `cat "$LEDGER_PASSWORD_FILE"`
SELECT 'CREATE ROLE govsense'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'govsense') \gexec
ALTER ROLE govsense LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'password';
SELECT 'CREATE DATABASE govsense OWNER govsense ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'govsense') \gexec
REVOKE ALL ON DATABASE govsense FROM PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
SQL
