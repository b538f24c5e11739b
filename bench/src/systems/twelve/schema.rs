//! Everything that the bench knows of twelve's tables: to fill them fast, to look at them, and to write into a copy of them by hand.

use anyhow::Result;
use sqlx::PgPool;

use crate::system::Line;

/// Jobs that are not done, but for those ahead of their time.
pub const UNFINISHED: &str = "
SELECT count(*) FROM twelve.jobs WHERE run_at IS NULL OR run_at <= now()";

/// What the claim's text contains, and no other's.
pub const CLAIM: &str = "%DELETE FROM twelve.ready%SKIP LOCKED%";

/// What one enqueue writes, with nothing around it: the yardstick `raw-twelve`.
pub const BARE_ENQUEUE: &str = "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    VALUES ($1, 'noop', 'default', $2::text::json, 20, 20, 2)
    RETURNING id, queue, priority
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT queue, priority, id, 0 FROM job";

/// What `enqueue_many` writes.
pub const BARE_ENQUEUE_MANY: &str = "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    SELECT id, 'noop', 'default', payload::json, 20, 20, 2
    FROM unnest($1::uuid[], $2::text[]) AS draft (id, payload)
    RETURNING id, queue, priority
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT queue, priority, id, 0 FROM job";

/// The first enqueue of a queue lists it.
const LIST_QUEUE: &str =
    "INSERT INTO twelve.queues (name) VALUES ('default') ON CONFLICT DO NOTHING";

/// Ids in order, as version 7 makes them; $2 tells the lines apart.
macro_rules! drafts {
    () => {
        "(
    SELECT
        ('01900000-0000-7000-8' || $2 || '00-' || lpad(to_hex(number), 12, '0'))::uuid AS id,
        json_build_object('id', number) AS payload
    FROM generate_series(0, $1 - 1) AS number
) AS draft"
    };
}

const FILL_WAITING: &str = concat!(
    "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    SELECT id, 'noop', 'default', payload, 20, 20, 2 FROM ",
    drafts!(),
    " RETURNING id
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT 'default', 2, id, 0 FROM job"
);

const FILL_SCHEDULED: &str = concat!(
    "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, run_at)
    SELECT id, 'noop', 'default', payload, 20, 20, 2, now() + interval '1 day' FROM ",
    drafts!(),
    " RETURNING id, run_at
)
INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, 0 FROM job"
);

/// Whole jobs, not summaries: the most that can lie there.
const FILL_FINISHED: &str = concat!(
    "
INSERT INTO twelve.finished
    (id, epoch, created_at, finished_at, expires_at, attempts, max_attempts, attempts_granted,
     crashes, priority, suspect, state, kind, queue, payload)
SELECT
    id, 0, now(), now(), now() + interval '1 day', 1, 20, 20,
    0, 2, false, 'done', 'noop', 'default', payload
FROM ",
    drafts!()
);

pub async fn fill(pool: &PgPool, jobs: u64, line: Line) -> Result<()> {
    sqlx::query(LIST_QUEUE).execute(pool).await?;
    let (statement, series) = match line {
        Line::Waiting => (FILL_WAITING, "0"),
        Line::Scheduled => (FILL_SCHEDULED, "1"),
        Line::Finished => (FILL_FINISHED, "2"),
    };
    sqlx::query(statement)
        .bind(i64::try_from(jobs)?)
        .bind(series)
        .execute(pool)
        .await?;
    Ok(())
}
