-- Run once, when PostgreSQL makes its data: a database and a user of its own for the ledger and for
-- MLflow, since both keep a table alembic_version.
\set ledger_password `cat /run/secrets/ledger_password`
\set mlflow_password `cat /run/secrets/mlflow_password`
CREATE ROLE monosweep LOGIN PASSWORD :'ledger_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
-- Text is UTF-8, whatever the machine's language is.
CREATE DATABASE monosweep OWNER monosweep ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE mlflow OWNER mlflow ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE monosweep, mlflow FROM PUBLIC;
