//! Claims.

use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{PostgresStore, counter, failed, level, number, rows};
use crate::{
    job::id::{ClaimId, JobId, WorkerId},
    store::model::{Batch, Claim, Claimed, Lease, Level},
};

/// Takes the oldest tickets off these lanes, in the order of the lanes, and records them as one claim.
///
/// Plan: a nested loop over the lanes; for each, `ready`'s primary key is read upwards from the lane's low-water mark, without a sort, up to the limit.
/// Tickets are deleted by `ctid`, and jobs found by primary key, one at a time. With a join in place of the array or of `LIMIT 1`, the planner would not know how few rows there are, and might scan the table.
///
/// `me` locks the worker's row, which a rescue deletes.
/// So a claim either commits before the rescue, which then sees its jobs, or finds its worker gone and takes nothing.
///
/// `synchronous_commit=off`: a crash of Postgres may lose the claim, so that the job runs twice. The fencing token then accepts one ack only.
///
/// An outdated ticket finds no job and is deleted.
/// The result always has a row: its `taken` tells whether there may be more tickets.
macro_rules! claim {
    ($paused:literal, $is_paused:literal, $parked:literal) => {
        concat!(
            "
WITH me AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) FROM twelve.workers WHERE id = $1 FOR KEY SHARE
),
taken AS (
    DELETE FROM twelve.ready
    WHERE EXISTS (SELECT FROM me)
      AND ctid = ANY (ARRAY(
        SELECT oldest.ctid
        FROM unnest($3::text[], $4::smallint[], $5::bigint[]) AS line (queue, lane, mark)
        CROSS JOIN LATERAL (
            SELECT ctid FROM twelve.ready
            WHERE queue = line.queue AND lane = line.lane AND seq > line.mark
            ORDER BY seq
            LIMIT $6
            FOR UPDATE SKIP LOCKED
        ) AS oldest
        LIMIT $6
      ))
    RETURNING lane, seq, job, epoch
),",
            $paused,
            "
job AS MATERIALIZED (
    SELECT jobs.*, lane, seq, ",
            $is_paused,
            " AS is_paused
    FROM taken
    CROSS JOIN LATERAL (SELECT * FROM twelve.jobs WHERE jobs.id = taken.job AND jobs.epoch = taken.epoch LIMIT 1) AS jobs
),",
            $parked,
            "
claim AS (
    INSERT INTO twelve.claims (worker, id, jobs, epochs, alone)
    SELECT $1, $2, array_agg(id), array_agg(epoch), $7 FROM job WHERE NOT is_paused HAVING count(*) > 0
)
SELECT number.taken, job.id, job.epoch, job.kind, job.queue, job.payload::text, job.metadata::text,
    job.attempts, job.max_attempts, job.deferrals, job.unique_key, job.lane, job.seq
FROM (SELECT count(*) AS taken FROM taken) AS number
LEFT JOIN job ON NOT is_paused"
        )
    };
}

pub(super) const CLAIM: &str = claim!("", "false", "");

/// The same while kinds are paused: their tickets are parked, each in place of an older ticket of the same job.
///
/// `paused` locks the pauses that this worker knows. A pause that was lifted since parks nothing; a resume waits for this claim, and then finds the tickets that it parked.
pub(super) const CLAIM_AND_PARK: &str = claim!(
    "
paused AS MATERIALIZED (
    SELECT name FROM twelve.pauses WHERE what = 'kind' AND name = ANY ($8::text[]) FOR KEY SHARE
),",
    "kind IN (SELECT name FROM paused)",
    "
parked AS (
    INSERT INTO twelve.parked (kind, job, epoch) SELECT kind, id, epoch FROM job WHERE is_paused
    ON CONFLICT (kind, job) DO UPDATE SET epoch = GREATEST(parked.epoch, excluded.epoch)
),"
);

/// Releases the keys of jobs that are unique until they start. Plan: the primary key, once for each key.
///
/// It is a separate statement, since few jobs have such keys. A key that it misses, or that a producer's transaction has locked, is released when the job ends.
pub(super) const STARTED: &str = "
DELETE FROM twelve.unique_keys
WHERE key = ANY (ARRAY(
    SELECT key FROM twelve.unique_keys
    WHERE key = ANY ($1) AND job = ANY ($2) AND until_started AND held_until IS NULL
    FOR UPDATE SKIP LOCKED
))";

/// Plan: the primary key's prefix.
pub(super) const CLAIMS_OF: &str = "
SELECT id FROM twelve.claims WHERE worker = $1";

pub(super) async fn claim(store: &PostgresStore, claim: &Claim) -> Result<Batch, Error> {
    let lanes: Vec<i16> = claim.lanes.iter().map(|lane| number(lane.level)).collect();
    let queues: Vec<&str> = claim.lanes.iter().map(|lane| &*lane.queue).collect();
    let marks: Vec<i64> = {
        let marks = store.marks();
        let lanes = queues.iter().zip(&lanes);
        lanes.map(|(queue, lane)| marks.of(queue, *lane)).collect()
    };
    let is_suspect = claim.lanes.iter().any(|lane| lane.level == Level::Suspect);
    let statement = if claim.paused_kinds.is_empty() {
        sqlx::query(CLAIM)
    } else {
        sqlx::query(CLAIM_AND_PARK)
    };
    let statement = statement
        .bind(*claim.worker.as_uuid())
        .bind(*claim.id.as_uuid())
        .bind(queues)
        .bind(lanes)
        .bind(marks)
        .bind(rows(claim.limit))
        .bind(is_suspect);
    let statement = if claim.paused_kinds.is_empty() {
        statement
    } else {
        statement.bind(&claim.paused_kinds)
    };
    let found = statement.fetch_all(&store.db).await.map_err(failed)?;
    let mut taken = 0;
    let mut jobs = Vec::with_capacity(found.len());
    let mut unique = (Vec::new(), Vec::new());
    for row in &found {
        if let Some(key) = row.try_get::<Option<Uuid>, _>(10)? {
            unique.0.push(key);
            unique.1.push(row.try_get::<Uuid, _>(1)?);
        }
        taken = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        if let Some(job) = read(row)? {
            jobs.push((place(claim, &job, row)?, job));
        }
    }
    // The tickets come in their order on disk.
    jobs.sort_unstable_by_key(|(place, _)| *place);
    let jobs = jobs.into_iter().map(|(_, job)| job).collect();
    if !unique.0.is_empty()
        && let Err(error) = have_started(&store.db, unique).await
    {
        tracing::debug!(%error, "unique keys are released when their jobs have ended");
    }
    Ok(Batch { jobs, taken })
}

async fn have_started(db: &Db, (keys, jobs): (Vec<Uuid>, Vec<Uuid>)) -> Result<(), Error> {
    let released = sqlx::query(STARTED).bind(keys).bind(jobs).execute(db).await;
    released.map_err(failed)?;
    Ok(())
}

/// Where a job stands in the order of the lanes.
fn place(claim: &Claim, job: &Claimed, row: &PgRow) -> Result<(usize, i64), Error> {
    let level = level(row.try_get(11)?);
    let mut lanes = claim.lanes.iter();
    let turn = lanes.position(|lane| lane.level == level && lane.queue == job.queue);
    Ok((turn.unwrap_or(usize::MAX), row.try_get(12)?))
}

/// By their numbers: looking names up would cost more than the values.
fn read(row: &PgRow) -> Result<Option<Claimed>, Error> {
    let Some(job) = row.try_get::<Option<Uuid>, _>(1)? else {
        return Ok(None);
    };
    Ok(Some(Claimed {
        lease: Lease {
            job: JobId::from_uuid(job),
            epoch: row.try_get(2)?,
        },
        kind: row.try_get(3)?,
        queue: row.try_get(4)?,
        payload: row.try_get(5)?,
        metadata: row.try_get(6)?,
        attempts: counter(row.try_get(7)?),
        max_attempts: counter(row.try_get(8)?),
        deferrals: counter(row.try_get(9)?),
        is_unique: row.try_get::<Option<Uuid>, _>(10)?.is_some(),
    }))
}

pub(super) async fn claims_of(db: &Db, worker: WorkerId) -> Result<Vec<ClaimId>, Error> {
    let claims: Vec<Uuid> = sqlx::query_scalar(CLAIMS_OF)
        .bind(*worker.as_uuid())
        .fetch_all(db)
        .await
        .map_err(failed)?;
    Ok(claims.into_iter().map(ClaimId::from_uuid).collect())
}
