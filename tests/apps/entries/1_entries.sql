-- No unique keys, on purpose: what was done twice must be able to show.
CREATE TABLE entries (name text NOT NULL);
CREATE TABLE notes (name text NOT NULL);
CREATE TABLE completed (name text NOT NULL, attempt bigint NOT NULL);
CREATE TABLE runs (tick timestamptz NOT NULL);
