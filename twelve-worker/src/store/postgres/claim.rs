//! Taking jobs.

use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};

use super::{counter, failed, rows};
use crate::{
    JobId, Queues, WorkerId,
    store::{Claimed, Lease},
};

/// Takes due jobs from a line of queues: those that are suspect, or those that are not.
///
/// Plan: one nested loop over the few queues; in it, `jobs_waiting` or `jobs_suspect` is read from a queue's oldest entry on, without a sort, and no further than the limit.
/// The ids come back as an array, and the update finds them by primary key: with a join instead, the planner cannot see the limit and may scan the table.
/// `random()` mixes the queues anew each time, so that none starves another.
///
/// `me` locks the worker's row against its deletion by a rescuer.
/// So a claim either comes before the rescue, which then sees its jobs, or finds itself dead and takes nothing.
macro_rules! claim {
    ($line:expr, $which:literal) => {
        concat!(
            "
WITH me AS MATERIALIZED (
    SELECT FROM twelve.workers WHERE id = $1 FOR KEY SHARE
)
UPDATE twelve.jobs AS job
SET state = 'running', worker = $1, epoch = job.epoch + 1, claimed_at = clock_timestamp()
WHERE EXISTS (SELECT FROM me)
  AND job.id = ANY (ARRAY(
    SELECT due.id
    FROM (",
            $line,
            " ORDER BY random()) AS line
    CROSS JOIN LATERAL (
        SELECT id FROM twelve.jobs
        WHERE state = 'waiting' AND ",
            $which,
            " AND queue = line.queue AND run_at <= now()
        ORDER BY run_at, id
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT $3
  ))
RETURNING job.id, job.kind, job.queue, job.payload::text AS payload,
    job.attempts, job.max_attempts, job.deferrals, job.epoch"
        )
    };
}

/// The queues that are named.
macro_rules! only {
    () => {
        "SELECT queue FROM unnest($2::text[]) AS named (queue)"
    };
}

/// The queues that are not named and have such jobs. Plan: hops through the same index, one probe for each queue.
macro_rules! all_except {
    ($which:literal) => {
        concat!(
            "
WITH RECURSIVE hop (queue) AS (
    (SELECT queue FROM twelve.jobs WHERE state = 'waiting' AND ",
            $which,
            " ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT queue FROM twelve.jobs
        WHERE state = 'waiting' AND ",
            $which,
            " AND queue > hop.queue
        ORDER BY queue LIMIT 1
    )
    FROM hop WHERE hop.queue IS NOT NULL
)
SELECT queue FROM hop WHERE queue <> ALL ($2::text[])"
        )
    };
}

const CLAIM_ONLY: &str = claim!(only!(), "NOT suspect");
const CLAIM_ALL_EXCEPT: &str = claim!(all_except!("NOT suspect"), "NOT suspect");
const CLAIM_SUSPECT_ONLY: &str = claim!(only!(), "suspect");
const CLAIM_SUSPECT_ALL_EXCEPT: &str = claim!(all_except!("suspect"), "suspect");

/// What a worker holds. Plan: `jobs_running`.
const HELD_BY: &str = "
SELECT id, epoch FROM twelve.jobs WHERE worker = $1 AND state = 'running'";

pub(super) async fn claim(
    db: &Db,
    worker: WorkerId,
    queues: &Queues,
    limit: usize,
) -> Result<Vec<Claimed>, Error> {
    let (statement, names) = match queues.named() {
        Some(only) => (CLAIM_ONLY, only),
        None => (CLAIM_ALL_EXCEPT, queues.excluded()),
    };
    let mut claimed = take(db, statement, worker, names, limit).await?;
    // An update returns rows in no order; ids sort by time.
    claimed.sort_by_key(|claimed| claimed.lease.job);
    Ok(claimed)
}

pub(super) async fn claim_suspect(
    db: &Db,
    worker: WorkerId,
    queues: &Queues,
) -> Result<Option<Claimed>, Error> {
    let (statement, names) = match queues.named() {
        Some(only) => (CLAIM_SUSPECT_ONLY, only),
        None => (CLAIM_SUSPECT_ALL_EXCEPT, queues.excluded()),
    };
    Ok(take(db, statement, worker, names, 1).await?.pop())
}

async fn take(
    db: &Db,
    statement: &'static str,
    worker: WorkerId,
    names: &[String],
    limit: usize,
) -> Result<Vec<Claimed>, Error> {
    let rows = sqlx::query(statement)
        .bind(*worker.as_uuid())
        .bind(names.to_vec())
        .bind(rows(limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    rows.iter().map(|row| read(row, worker)).collect()
}

fn read(row: &PgRow, worker: WorkerId) -> Result<Claimed, Error> {
    Ok(Claimed {
        lease: Lease {
            job: JobId::from_uuid(row.try_get("id")?),
            epoch: row.try_get("epoch")?,
            worker,
        },
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        payload: row.try_get("payload")?,
        attempts: counter(row.try_get("attempts")?),
        max_attempts: counter(row.try_get("max_attempts")?),
        deferrals: counter(row.try_get("deferrals")?),
    })
}

pub(super) async fn held_by(db: &Db, worker: WorkerId) -> Result<Vec<Lease>, Error> {
    let rows: Vec<(uuid::Uuid, i64)> = sqlx::query_as(HELD_BY)
        .bind(*worker.as_uuid())
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let lease = |(job, epoch)| Lease {
        job: JobId::from_uuid(job),
        epoch,
        worker,
    };
    Ok(rows.into_iter().map(lease).collect())
}
