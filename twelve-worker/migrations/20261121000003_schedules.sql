-- Schedules as schedulers know them, and the ticks that were fired.
--
-- No column has `now()` as its default: a default keeps the function that was found when the table was made, and tests put another clock before it.

CREATE TABLE twelve.schedules (
    name text PRIMARY KEY,
    cron text NOT NULL,
    zone text NOT NULL,
    -- Ticks up to this moment are not due: the schedule was first seen then, changed, or resumed.
    since timestamptz NOT NULL,
    paused_at timestamptz,
    -- The fence: it grows with every firing and every change, and a firing must name it.
    epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE twelve.ticks (
    schedule text NOT NULL REFERENCES twelve.schedules ON DELETE CASCADE,
    tick timestamptz NOT NULL,
    -- The job may have been removed since.
    job uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (schedule, tick)
);
