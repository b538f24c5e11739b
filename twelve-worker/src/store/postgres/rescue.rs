//! Rescues and releases: jobs taken back from dead workers, released by workers that stop, and released from unanswered claims.

use sqlx::PgExecutor;
use twelve_core::{Db, DbTransaction, Error};
use uuid::Uuid;

use super::failed;
use crate::{
    job::id::{ClaimId, JobId, WorkerId},
    store::{
        model::{Lease, MAX_CRASHES, Rescued},
        state::State,
    },
};

/// Declares a worker dead, if its heartbeat has not changed since it was observed.
///
/// The row is locked until the rescue commits. A claim of the dead worker waits for that, and then takes nothing.
const BURY: &str = "
DELETE FROM twelve.workers WHERE id = $1 AND beat = $2";

/// Takes back the jobs of this worker; or, without a worker, those of all holders that are not registered.
///
/// Plan: `claims`, which is as short as what is claimed at this moment; the jobs by primary key.
///
/// Locked rows are skipped. A transaction is acking them, and its worker may be paused before the commit; waiting for it would delay the rescue of all other jobs.
/// If it commits, the job is done. If its connection dies, the next look finds the job as an orphan, which is why a claim is forgotten only when none of its jobs was skipped.
///
/// Only jobs of a worker that was just declared dead become suspects. The crash counts only for a suspect that was the worker's only job:
/// for other jobs it is unknown whether they were the cause.
pub(super) const RESCUE: &str = concat!(
    "
WITH orphan AS MATERIALIZED (
    SELECT claims.worker, claims.id AS claim, alone, job, epoch
    FROM twelve.claims CROSS JOIN LATERAL unnest(jobs, epochs) AS lease (job, epoch)
    WHERE ($1::uuid IS NULL OR claims.worker = $1)
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = claims.worker)
),
unended AS MATERIALIZED (
    SELECT orphan.* FROM orphan
    CROSS JOIN LATERAL (SELECT FROM twelve.jobs WHERE jobs.id = orphan.job AND jobs.epoch = orphan.epoch LIMIT 1) AS job
),
lost AS MATERIALIZED (
    SELECT jobs.id, unended.claim, unended.worker, $1::uuid IS NOT NULL AS died,
        $1::uuid IS NOT NULL AND unended.alone AND (SELECT count(*) = 1 FROM unended) AS was_alone
    FROM unended JOIN twelve.jobs ON jobs.id = unended.job AND jobs.epoch = unended.epoch
    WHERE jobs.id = ANY (ARRAY(SELECT job FROM unended))
    FOR UPDATE OF jobs SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET suspect = suspect OR died,
        crashes = crashes + was_alone::int,
        epoch = epoch + 1
    FROM lost WHERE job.id = lost.id AND job.id = ANY (ARRAY(SELECT id FROM lost))
    RETURNING job.*, job.attempts + 1 AS attempt, lost.worker,
        CASE WHEN was_alone THEN 'the worker died while it ran this job alone'
             WHEN died THEN 'the worker died'
             ELSE 'the worker was gone' END AS message
),
forgotten AS (
    DELETE FROM twelve.claims
    WHERE (worker, id) IN (SELECT worker, claim FROM orphan)
      AND id NOT IN (SELECT claim FROM unended WHERE job NOT IN (SELECT id FROM lost))
),
again AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane_of_returned!(),
    ", id, epoch FROM rescued WHERE crashes < $2 ORDER BY id
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempt, 'crashed', message, worker, clock_timestamp() FROM rescued
    ",
    counted!(),
    "
)
SELECT id, kind, crashes >= $2 FROM rescued"
);

/// Fails jobs that killed too many workers. Plan: the primary keys.
pub(super) const QUARANTINE: &str = concat!(
    "
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) RETURNING *
),
",
    released!(),
    "
INSERT INTO twelve.finished (id, epoch, created_at, finished_at, run_at, attempts, max_attempts, attempts_granted,
    crashes, priority, suspect, state, kind, queue, payload, tags, metadata, unique_key, until_started)
SELECT id, epoch, created_at, clock_timestamp(), run_at, attempts, max_attempts, attempts_granted,
    crashes, priority, suspect, 'failed', kind, queue, payload, tags, metadata, unique_key, until_started
FROM ended"
);

/// Releases leases: the jobs have had their turn, so they go first, in the order in which they were claimed.
///
/// Plan: the primary key, once for each lease. The ids are named twice: otherwise a planner that believes the table to be empty would read all of it, and compare each job with each lease.
pub(super) const RELEASE: &str = concat!(
    "
WITH back AS (
    UPDATE twelve.jobs AS job
    SET epoch = job.epoch + 1
    FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS lease (job, epoch, place)
    WHERE job.id = lease.job AND job.epoch = lease.epoch AND job.id = ANY ($1)
    RETURNING job.id, job.epoch, job.queue, job.suspect, place
)
INSERT INTO twelve.ready (queue, lane, job, epoch)
SELECT queue, ",
    lane_of_returned!(),
    ", id, epoch FROM back ORDER BY place"
);

/// Forgets one claim and returns its leases, the oldest job first, since a claim does not record its order. Plan: the primary key.
pub(super) const RELEASE_CLAIM: &str = "
WITH given AS (
    DELETE FROM twelve.claims WHERE worker = $1 AND id = $2 RETURNING jobs, epochs
)
SELECT job, epoch FROM given CROSS JOIN LATERAL unnest(jobs, epochs) AS lease (job, epoch) ORDER BY job";

pub(super) async fn rescue(db: &Db, worker: WorkerId, beat: i64) -> Result<Vec<Rescued>, Error> {
    let mut transaction = db.begin().await?;
    let buried = sqlx::query(BURY)
        .bind(*worker.as_uuid())
        .bind(beat)
        .execute(&mut transaction)
        .await
        .map_err(failed)?;
    if buried.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let rescued = take_back(&mut transaction, Some(worker)).await?;
    transaction.commit().await?;
    Ok(rescued)
}

pub(super) async fn rescue_orphans(db: &Db) -> Result<Vec<Rescued>, Error> {
    let mut transaction = db.begin().await?;
    let rescued = take_back(&mut transaction, None).await?;
    transaction.commit().await?;
    Ok(rescued)
}

async fn take_back(
    transaction: &mut DbTransaction,
    dead: Option<WorkerId>,
) -> Result<Vec<Rescued>, Error> {
    let rows: Vec<(Uuid, String, bool)> = sqlx::query_as(RESCUE)
        .bind(dead.map(|worker| *worker.as_uuid()))
        .bind(MAX_CRASHES)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
    let failed_jobs: Vec<Uuid> = rows.iter().filter(|row| row.2).map(|row| row.0).collect();
    if !failed_jobs.is_empty() {
        sqlx::query(QUARANTINE)
            .bind(failed_jobs)
            .execute(transaction)
            .await
            .map_err(failed)?;
    }
    let rescued = |(job, kind, has_failed)| Rescued {
        job: JobId::from_uuid(job),
        kind,
        state: if has_failed {
            State::Failed
        } else {
            State::Waiting
        },
    };
    Ok(rows.into_iter().map(rescued).collect())
}

pub(super) async fn release(on: impl PgExecutor<'_>, leases: &[Lease]) -> Result<usize, Error> {
    let jobs: Vec<Uuid> = leases.iter().map(|lease| *lease.job.as_uuid()).collect();
    let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch).collect();
    let released = sqlx::query(RELEASE)
        .bind(jobs)
        .bind(epochs)
        .execute(on)
        .await
        .map_err(failed)?;
    Ok(usize::try_from(released.rows_affected()).unwrap_or(usize::MAX))
}

pub(super) async fn release_claim(
    db: &Db,
    worker: WorkerId,
    claim: ClaimId,
) -> Result<usize, Error> {
    let mut transaction = db.begin().await?;
    let leases: Vec<(Uuid, i64)> = sqlx::query_as(RELEASE_CLAIM)
        .bind(*worker.as_uuid())
        .bind(*claim.as_uuid())
        .fetch_all(&mut transaction)
        .await
        .map_err(failed)?;
    let lease = |(job, epoch)| Lease {
        job: JobId::from_uuid(job),
        epoch,
    };
    let leases: Vec<Lease> = leases.into_iter().map(lease).collect();
    let jobs = release(&mut transaction, &leases).await?;
    transaction.commit().await?;
    Ok(jobs)
}
