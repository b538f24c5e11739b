//! Taking jobs.

use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{PostgresStore, counter, failed, level, number, rows};
use crate::{
    ClaimId, JobId, WorkerId,
    store::{Batch, Claim, Claimed, Lease, Level},
};

/// Takes the oldest tickets off these lanes, in their order, and notes them as one claim.
///
/// Plan: a nested loop over the lanes; in it, `ready`'s primary key is read from the lane's mark on, without a sort, and no further than the limit.
/// The entries are deleted by their place, and the jobs found by primary key: with a join instead of the array, the planner cannot see the limit and may scan the table.
///
/// `me` locks the worker's row against its deletion by a rescuer.
/// So a claim either comes before the rescue, which then sees its jobs, or finds itself dead and takes nothing.
///
/// The commit waits for no disk: when Postgres crashes within the moment until it is written, the tickets are back, and the job runs again; the first of two acks wins.
///
/// An outdated ticket finds no job and is gone; one of a paused kind is parked, in the place of an older ticket of its job.
/// `paused` locks the pauses that this worker knows of: one that was lifted since holds nothing back, and whoever lifts one waits for this claim, then finds what it parked.
/// There is always one row, so that its `taken` tells whether there may be more.
pub(super) const CLAIM: &str = "
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
),
paused AS MATERIALIZED (
    SELECT name FROM twelve.pauses WHERE what = 'kind' AND name = ANY ($7::text[]) FOR KEY SHARE
),
job AS MATERIALIZED (
    SELECT jobs.*, lane, seq, kind IN (SELECT name FROM paused) AS is_paused
    FROM taken JOIN twelve.jobs ON jobs.id = taken.job AND jobs.epoch = taken.epoch
),
claim AS (
    INSERT INTO twelve.claims (worker, id, jobs, epochs, alone)
    SELECT $1, $2, array_agg(id), array_agg(epoch), $8 FROM job WHERE NOT is_paused HAVING count(*) > 0
),
parked AS (
    INSERT INTO twelve.parked (kind, job, epoch) SELECT kind, id, epoch FROM job WHERE is_paused
    ON CONFLICT (kind, job) DO UPDATE SET epoch = excluded.epoch
),
started AS (
    DELETE FROM twelve.unique_keys AS held USING job
    WHERE job.unique_key IS NOT NULL AND held.key = job.unique_key AND held.job = job.id
      AND until_started AND held_until IS NULL AND NOT is_paused
)
SELECT number.taken, job.id, job.epoch, job.kind, job.queue, job.payload::text, job.metadata::text,
    job.attempts, job.max_attempts, job.deferrals, job.unique_key IS NOT NULL, job.lane, job.seq
FROM (SELECT count(*) AS taken FROM taken) AS number
LEFT JOIN job ON NOT is_paused";

/// Plan: the primary key's prefix.
const CLAIMS_OF: &str = "
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
    let found = sqlx::query(CLAIM)
        .bind(*claim.worker.as_uuid())
        .bind(*claim.id.as_uuid())
        .bind(queues)
        .bind(lanes)
        .bind(marks)
        .bind(rows(claim.limit))
        .bind(&claim.paused_kinds)
        .bind(is_suspect)
        .fetch_all(&store.db)
        .await
        .map_err(failed)?;
    let mut taken = 0;
    let mut jobs = Vec::with_capacity(found.len());
    for row in &found {
        taken = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        if let Some(job) = read(row)? {
            jobs.push((place(claim, &job, row)?, job));
        }
    }
    // The entries come in the order in which they lie on the disk.
    jobs.sort_unstable_by_key(|(place, _)| *place);
    let jobs = jobs.into_iter().map(|(_, job)| job).collect();
    Ok(Batch { jobs, taken })
}

/// Where a job stands in the order of the lanes.
fn place(claim: &Claim, job: &Claimed, row: &PgRow) -> Result<(usize, i64), Error> {
    let (lane, seq) = (level(row.try_get(11)?), row.try_get(12)?);
    let mut lanes = claim.lanes.iter();
    let line = lanes.position(|line| line.level == lane && line.queue == job.queue);
    Ok((line.unwrap_or(usize::MAX), seq))
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
        is_unique: row.try_get(10)?,
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
