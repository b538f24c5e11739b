-- Jobs, the evidence of what became of their attempts, the results of their steps, and the workers that hold them.

CREATE TABLE twelve.jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    queue text NOT NULL,
    -- json, not jsonb: it keeps the text as it is, so a NUL (U+0000) or a -0.0 in a payload survives, and nothing is parsed twice.
    payload json NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed', 'discarded')),
    -- Attempts that were spent: those that ended. A retry by hand raises max_attempts, so the numbers never repeat.
    attempts int NOT NULL DEFAULT 0,
    max_attempts int NOT NULL,
    attempts_granted int NOT NULL,
    -- A worker died that held this job: it is claimed alone until an attempt at it has ended.
    suspect boolean NOT NULL DEFAULT false,
    -- Workers in a row that died while they ran this job alone.
    crashes int NOT NULL DEFAULT 0,
    -- How often in a row the current attempt was put off because a backing service was unavailable.
    deferrals int NOT NULL DEFAULT 0,
    -- The fence: it grows with every claim, and when a job is taken back; an ack must name it.
    epoch bigint NOT NULL DEFAULT 0,
    worker uuid,
    run_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at timestamptz,
    finished_at timestamptz,
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state IN ('done', 'failed', 'discarded')) = (finished_at IS NOT NULL))
) WITH (
    -- Every job leaves dead rows behind: clean up by their number, not by the size of the backlog, and without pausing.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- The two claims, in their order: a queue's oldest due job is the first entry.
CREATE INDEX jobs_waiting ON twelve.jobs (queue, run_at, id) WHERE state = 'waiting' AND NOT suspect;
CREATE INDEX jobs_suspect ON twelve.jobs (queue, run_at, id) WHERE state = 'waiting' AND suspect;

-- The rescue: what one worker holds. As many entries as jobs run at this moment.
CREATE INDEX jobs_running ON twelve.jobs (worker) WHERE state = 'running';

-- The pruning, the oldest first.
CREATE INDEX jobs_finished ON twelve.jobs (finished_at) WHERE state IN ('done', 'discarded');

-- One row for each way in which one attempt ended, however often it did: so a job cannot grow evidence without bound.
CREATE TABLE twelve.job_errors (
    job_id uuid NOT NULL REFERENCES twelve.jobs ON DELETE CASCADE,
    attempt int NOT NULL,
    cause text NOT NULL
        CHECK (cause IN ('failed', 'unavailable', 'crashed', 'unknown_kind', 'undecodable', 'discarded')),
    message text NOT NULL,
    times int NOT NULL DEFAULT 1,
    worker uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, attempt, cause)
);

CREATE TABLE twelve.job_steps (
    job_id uuid NOT NULL REFERENCES twelve.jobs ON DELETE CASCADE,
    name text NOT NULL,
    result json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, name)
);

-- Half of each page stays free, so that a beat writes no index entry.
CREATE TABLE twelve.workers (
    id uuid PRIMARY KEY,
    process_type text NOT NULL,
    host text NOT NULL,
    pid int NOT NULL,
    queues text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat bigint NOT NULL
) WITH (fillfactor = 50);
