-- What was done, in the transaction of its job.
CREATE TABLE notes (at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE parcels (content bytea NOT NULL);

-- What was started, whatever became of it.
CREATE TABLE starts (
    what text NOT NULL,
    pid bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A row in it lets those go that wait.
CREATE TABLE gate (is_open bool NOT NULL);
