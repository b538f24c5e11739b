//! Reporting how an attempt ended.
//!
//! Every statement here finds its row by primary key and checks the lease, which is the fence, while it holds the row's lock.

use sqlx::PgConnection;
use std::time::Duration;
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{failed, microseconds};
use crate::store::{Ack, Acked, Cause, Evidence, Lease};

/// The common case, so a statement of its own. Plan: the primary key.
///
/// A row that names a worker is running, by a check of the table.
/// Asking for the state too would let the planner take `jobs_running` instead, and walk the dead entries of every job that this worker has finished.
const DONE: &str = "
UPDATE twelve.jobs
SET state = 'done', worker = NULL, attempts = attempts + 1, finished_at = clock_timestamp()
WHERE id = $1 AND epoch = $2 AND worker = $3";

/// Every other way to end, with its evidence. Plan: the primary keys.
///
/// A job that has run to an orderly end is suspect no longer; one that was put back has not run, or not far.
/// The evidence on one attempt is one row for each cause, so a job that is put back again and again does not grow.
/// Times are taken when the statement runs: in a transaction, `now()` is when that began.
const SETTLE: &str = "
WITH settled AS (
    UPDATE twelve.jobs
    SET state = $4,
        worker = NULL,
        attempts = attempts + $5,
        deferrals = CASE WHEN $7 = 'unavailable' THEN deferrals + 1 WHEN $7 = 'unknown_kind' THEN deferrals ELSE 0 END,
        suspect = CASE WHEN $7 IN ('unavailable', 'unknown_kind') THEN suspect ELSE false END,
        crashes = CASE WHEN $7 IN ('unavailable', 'unknown_kind') THEN crashes ELSE 0 END,
        run_at = CASE WHEN $4 = 'waiting' THEN clock_timestamp() + $6 * interval '1 microsecond' ELSE run_at END,
        finished_at = CASE WHEN $4 = 'waiting' THEN NULL ELSE clock_timestamp() END
    WHERE id = $1 AND epoch = $2 AND worker = $3
    RETURNING id, attempts + 1 - $5 AS attempt
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker)
    SELECT id, attempt, $7, $8, $3 FROM settled WHERE $7 IS NOT NULL
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT count(*) FROM settled";

/// Hands back what a stopping worker holds. Plan: the primary key, once for each lease.
///
/// `run_at` stays: the job keeps its place.
const HAND_BACK: &str = "
UPDATE twelve.jobs AS job
SET state = 'waiting', worker = NULL, epoch = job.epoch + 1
FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS lease (job, epoch, worker)
WHERE job.id = lease.job AND job.epoch = lease.epoch AND job.worker = lease.worker";

pub(super) async fn ack(
    connection: &mut PgConnection,
    lease: Lease,
    ack: &Ack,
) -> Result<Acked, Error> {
    let moved = match ack {
        Ack::Done => done(connection, lease).await,
        Ack::Discard(reason) => {
            let settlement = Settlement::spent("discarded").with(Cause::Discarded, reason);
            settle(connection, lease, settlement).await
        }
        Ack::Snooze(delay) => settle(connection, lease, Settlement::waiting(0, *delay)).await,
        Ack::Retry(delay, evidence) => {
            let settlement = Settlement::waiting(1, *delay).with(Cause::Failed, evidence);
            settle(connection, lease, settlement).await
        }
        Ack::Fail(evidence) => {
            let settlement = Settlement::spent("failed").with(Cause::Failed, evidence);
            settle(connection, lease, settlement).await
        }
        Ack::Undecodable(evidence) => {
            let mut settlement = Settlement::spent("failed").with(Cause::Undecodable, evidence);
            settlement.spent = 0;
            settle(connection, lease, settlement).await
        }
        Ack::PutBack(delay, cause, evidence) => {
            let settlement = Settlement::waiting(0, *delay).with(*cause, evidence);
            settle(connection, lease, settlement).await
        }
    };
    match moved.map_err(failed)? {
        0 => Ok(Acked::Refused),
        _ => Ok(Acked::Accepted),
    }
}

/// What [`SETTLE`] writes.
struct Settlement<'a> {
    state: &'static str,
    spent: i32,
    delay: Duration,
    evidence: Option<(Cause, &'a Evidence)>,
}

impl<'a> Settlement<'a> {
    fn spent(state: &'static str) -> Self {
        Self {
            state,
            spent: 1,
            delay: Duration::ZERO,
            evidence: None,
        }
    }

    fn waiting(spent: i32, delay: Duration) -> Self {
        Self {
            state: "waiting",
            spent,
            delay,
            evidence: None,
        }
    }

    fn with(self, cause: Cause, evidence: &'a Evidence) -> Self {
        Self {
            evidence: Some((cause, evidence)),
            ..self
        }
    }
}

async fn done(connection: &mut PgConnection, lease: Lease) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(DONE)
        .bind(*lease.job.as_uuid())
        .bind(lease.epoch)
        .bind(*lease.worker.as_uuid())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

async fn settle(
    connection: &mut PgConnection,
    lease: Lease,
    settlement: Settlement<'_>,
) -> Result<u64, sqlx::Error> {
    let settled: i64 = sqlx::query_scalar(SETTLE)
        .bind(*lease.job.as_uuid())
        .bind(lease.epoch)
        .bind(*lease.worker.as_uuid())
        .bind(settlement.state)
        .bind(settlement.spent)
        .bind(microseconds(settlement.delay))
        .bind(settlement.evidence.map(|(cause, _)| cause.name()))
        .bind(settlement.evidence.map(|(_, evidence)| evidence.as_str()))
        .fetch_one(connection)
        .await?;
    Ok(settled.unsigned_abs())
}

pub(super) async fn hand_back(db: &Db, leases: &[Lease]) -> Result<usize, Error> {
    let jobs: Vec<Uuid> = leases.iter().map(|lease| *lease.job.as_uuid()).collect();
    let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch).collect();
    let workers: Vec<Uuid> = leases.iter().map(|lease| *lease.worker.as_uuid()).collect();
    let handed_back = sqlx::query(HAND_BACK)
        .bind(jobs)
        .bind(epochs)
        .bind(workers)
        .execute(db)
        .await
        .map_err(failed)?;
    Ok(usize::try_from(handed_back.rows_affected()).unwrap_or(usize::MAX))
}
