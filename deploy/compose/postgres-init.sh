#!/usr/bin/env bash
# Runs once, in an empty cluster: a login that owns the ledger and may make roles, and nothing more.
set -euo pipefail
password=$(cat "${METERLINE_POSTGRES_PASSWORD_FILE:-/run/secrets/meterline_postgres_password}")
psql --no-psqlrc --set ON_ERROR_STOP=1 --set "password=$password" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE meterline LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE meterline OWNER meterline ENCODING 'UTF8';
REVOKE CONNECT ON DATABASE meterline FROM PUBLIC;
SQL
