//! Taking jobs.

use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};

use super::{counter, failed, rows};
use crate::{
    JobId, Queues, WorkerId,
    store::{Claimed, Lease},
};

/// Takes due jobs of named queues.
///
/// Plan: one nested loop over the few queues; in it, `jobs_waiting` is read from a queue's oldest entry on, without a sort, and no further than the limit.
/// The ids come back as an array, and the update finds them by primary key: with a join instead, the planner cannot see the limit and may scan the table.
/// `random()` mixes the queues anew each time, so that none starves another.
///
/// `me` locks the worker's row against its deletion by a rescuer.
/// So a claim either comes before the rescue, which then sees its jobs, or finds itself dead and takes nothing.
const CLAIM_ONLY: &str = "
WITH me AS MATERIALIZED (
    SELECT FROM twelve.workers WHERE id = $1 FOR KEY SHARE
)
UPDATE twelve.jobs AS job
SET state = 'running', worker = $1, epoch = job.epoch + 1, claimed_at = clock_timestamp()
WHERE EXISTS (SELECT FROM me)
  AND job.id = ANY (ARRAY(
    SELECT due.id
    FROM (SELECT queue FROM unnest($2::text[]) AS named (queue) ORDER BY random()) AS line
    CROSS JOIN LATERAL (
        SELECT id FROM twelve.jobs
        WHERE state = 'waiting' AND queue = line.queue AND run_at <= now()
        ORDER BY run_at, id
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT $3
  ))
RETURNING job.id, job.kind, job.queue, job.payload::text AS payload,
    job.attempts, job.max_attempts, job.deferrals, job.epoch";

/// Takes due jobs of all queues but the named ones.
///
/// Plan: as above; the queues that have waiting jobs are found by hopping through `jobs_waiting`, one probe for each.
const CLAIM_ALL_EXCEPT: &str = "
WITH RECURSIVE me AS MATERIALIZED (
    SELECT FROM twelve.workers WHERE id = $1 FOR KEY SHARE
),
hop (queue) AS (
    (SELECT queue FROM twelve.jobs WHERE state = 'waiting' ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (
        SELECT queue FROM twelve.jobs
        WHERE state = 'waiting' AND queue > hop.queue
        ORDER BY queue LIMIT 1
    )
    FROM hop WHERE hop.queue IS NOT NULL
)
UPDATE twelve.jobs AS job
SET state = 'running', worker = $1, epoch = job.epoch + 1, claimed_at = clock_timestamp()
WHERE EXISTS (SELECT FROM me)
  AND job.id = ANY (ARRAY(
    SELECT due.id
    FROM (SELECT queue FROM hop WHERE queue <> ALL ($2::text[]) ORDER BY random()) AS line
    CROSS JOIN LATERAL (
        SELECT id FROM twelve.jobs
        WHERE state = 'waiting' AND queue = line.queue AND run_at <= now()
        ORDER BY run_at, id
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT $3
  ))
RETURNING job.id, job.kind, job.queue, job.payload::text AS payload,
    job.attempts, job.max_attempts, job.deferrals, job.epoch";

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
    let rows = sqlx::query(statement)
        .bind(*worker.as_uuid())
        .bind(names.to_vec())
        .bind(rows(limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let mut claimed: Vec<_> = rows
        .iter()
        .map(|row| read(row, worker))
        .collect::<Result<_, _>>()?;
    // An update returns rows in no order; ids sort by time.
    claimed.sort_by_key(|claimed| claimed.lease.job);
    Ok(claimed)
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
