-- Each start of an errand, written outside of its transaction.
CREATE TABLE starts (
    number int NOT NULL,
    attempt bigint NOT NULL,
    pid bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Each errand that was done, written in its transaction. No unique key, on purpose: one that was done twice must be able to show.
CREATE TABLE marks (
    number int NOT NULL,
    attempt bigint NOT NULL,
    pid bigint NOT NULL
);
