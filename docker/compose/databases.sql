-- Run once, when PostgreSQL makes its data: a database and a user of its own for the ledger and for
-- MLflow, since both keep a table alembic_version.
\set ledger_password `cat /run/secrets/ledger_password`
\set mlflow_password `cat /run/secrets/mlflow_password`
CREATE ROLE monosweep LOGIN PASSWORD :'ledger_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE DATABASE monosweep OWNER monosweep;
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT ON DATABASE monosweep, mlflow FROM PUBLIC;
