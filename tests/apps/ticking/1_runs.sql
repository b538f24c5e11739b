-- No unique key, on purpose: a tick that ran twice must be able to show.
CREATE TABLE runs (
    schedule text NOT NULL,
    tick timestamptz NOT NULL
);
