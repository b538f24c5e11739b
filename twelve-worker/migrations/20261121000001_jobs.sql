-- Jobs, the tickets by which they are claimed, the evidence of what became of their attempts, and the workers that hold them.
--
-- A job's row is written once and deleted when the job is done. What moves is its ticket, (job, epoch):
--
--   scheduled ──► ready ──► claims ──► (the row is deleted: done)
--                   ▲          │
--                   └─ parked ◄┘
--
-- A ticket is valid as long as the job's row has its epoch. Whoever takes a job back raises the epoch, so that is the fence:
-- an older ticket, wherever it is, and the ack of an older attempt find no row.

CREATE TABLE twelve.jobs (
    id uuid PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When it is due; null when that was at once.
    run_at timestamptz,
    -- Its entry in unique_keys, and whether it holds that only until it starts: whoever retries it takes the key again.
    unique_key uuid,
    until_started boolean,
    -- Attempts that were spent: those that ended. A retry by hand raises max_attempts, so the numbers never repeat.
    attempts int NOT NULL DEFAULT 0,
    max_attempts int NOT NULL,
    attempts_granted int NOT NULL,
    -- Workers in a row that died while they ran this job alone.
    crashes int NOT NULL DEFAULT 0,
    -- How often in a row the current attempt was put off because a backing service was unavailable.
    deferrals int NOT NULL DEFAULT 0,
    priority smallint NOT NULL,
    -- A worker died that held this job: it is claimed alone until an attempt at it has ended.
    suspect boolean NOT NULL DEFAULT false,
    kind text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    -- json, not jsonb: it keeps the text as it is, so a NUL (U+0000) or a -0.0 in a payload survives, and nothing is parsed twice.
    payload json NOT NULL,
    tags text[],
    metadata json
) WITH (
    -- Every job leaves a dead row behind: clean up by their number, not by the size of the backlog, and without pausing.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- Drawn after the transaction has its xid: so once all transactions of an earlier time have ended, no lower number appears any more.
CREATE SEQUENCE twelve.tickets;

-- Jobs that may be claimed, in lanes: 0 came back to go first, 1 to 3 are the priorities, 9 are suspects.
CREATE TABLE twelve.ready (
    queue text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('twelve.tickets'),
    job uuid NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (queue, lane, seq)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- Jobs whose time has not come.
CREATE TABLE twelve.scheduled (
    run_at timestamptz NOT NULL,
    job uuid NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (run_at, job)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- Jobs that are held back: those of a paused kind.
CREATE TABLE twelve.parked (
    kind text COLLATE "C" NOT NULL,
    job uuid NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (kind, job)
);

-- What workers hold: a row for each batch that was claimed, deleted when the last job of the batch has ended.
CREATE TABLE twelve.claims (
    worker uuid NOT NULL,
    id uuid NOT NULL,
    jobs uuid[] NOT NULL,
    epochs bigint[] NOT NULL,
    -- A suspect, which runs alone.
    alone boolean NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (worker, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
);
-- Ids do not compress; trying to would cost each claim of a large batch.
ALTER TABLE twelve.claims ALTER jobs SET STORAGE EXTERNAL, ALTER epochs SET STORAGE EXTERNAL;

-- Jobs that have ended and are kept: failed ones until somebody acts, the others for a time.
CREATE TABLE twelve.finished (
    id uuid PRIMARY KEY,
    epoch bigint NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    expires_at timestamptz,
    run_at timestamptz,
    -- Null for one that is done: it cannot be retried.
    unique_key uuid,
    until_started boolean,
    attempts int NOT NULL,
    max_attempts int NOT NULL,
    attempts_granted int NOT NULL,
    crashes int NOT NULL,
    priority smallint NOT NULL,
    suspect boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('done', 'failed', 'discarded', 'cancelled')),
    kind text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    -- Null in a summary.
    payload json,
    tags text[],
    metadata json
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

-- The pruning, the oldest first.
CREATE INDEX finished_expiring ON twelve.finished (expires_at) WHERE expires_at IS NOT NULL;

-- One row for each way in which one attempt ended, however often it did: so a job cannot grow evidence without bound.
-- No foreign keys here and below: they would cost every delete of a job a look at each table.
CREATE TABLE twelve.job_errors (
    job_id uuid NOT NULL,
    attempt int NOT NULL,
    cause text NOT NULL
        CHECK (cause IN ('failed', 'unavailable', 'crashed', 'unknown_kind', 'undecodable', 'discarded', 'cancelled')),
    message text NOT NULL,
    times int NOT NULL DEFAULT 1,
    worker uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, attempt, cause)
);

CREATE TABLE twelve.job_steps (
    job_id uuid NOT NULL,
    name text NOT NULL,
    result json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, name)
);

-- Who holds a unique key.
CREATE TABLE twelve.unique_keys (
    key uuid PRIMARY KEY,
    job uuid NOT NULL,
    -- Released when the job starts, or else when it has ended.
    until_started boolean NOT NULL,
    -- Held until then, whatever becomes of the job.
    held_until timestamptz
);

CREATE INDEX unique_keys_expiring ON twelve.unique_keys (held_until) WHERE held_until IS NOT NULL;

-- Queues that were ever used.
CREATE TABLE twelve.queues (
    name text COLLATE "C" PRIMARY KEY
);

-- What is paused.
CREATE TABLE twelve.pauses (
    what text NOT NULL CHECK (what IN ('queue', 'kind')),
    name text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (what, name)
);

-- Running jobs that somebody wants to be stopped.
CREATE TABLE twelve.cancellations (
    job uuid PRIMARY KEY,
    epoch bigint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Half of each page stays free, so that a beat writes no index entry.
CREATE TABLE twelve.workers (
    id uuid PRIMARY KEY,
    process_type text NOT NULL,
    host text NOT NULL,
    pid int NOT NULL,
    release text,
    concurrency int NOT NULL,
    -- Its queues are those that are named, or all but those.
    only_named boolean NOT NULL,
    queues text[] NOT NULL,
    kinds text[] NOT NULL,
    draining boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat bigint NOT NULL
) WITH (fillfactor = 50);

-- Every job that twelve knows of, with its state: for people, and for listings.
CREATE VIEW twelve.all_jobs AS
SELECT id, epoch, created_at, run_at, NULL::timestamptz AS finished_at, NULL::timestamptz AS expires_at,
    attempts, max_attempts, crashes, priority, suspect,
    CASE WHEN (id, epoch) IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims) THEN 'running'
         WHEN run_at > now() THEN 'scheduled'
         ELSE 'waiting' END AS state,
    kind, queue, payload, tags, metadata
FROM twelve.jobs
UNION ALL
SELECT id, epoch, created_at, run_at, finished_at, expires_at,
    attempts, max_attempts, crashes, priority, suspect, state, kind, queue, payload, tags, metadata
FROM twelve.finished;
