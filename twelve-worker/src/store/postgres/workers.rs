//! Workers, and their heartbeats.

use jiff_sqlx::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{counter, failed};
use crate::{
    job::{id::WorkerId, queues::Queues},
    store::{
        Answer, HeartbeatWriter,
        listing::WorkerSummary,
        model::{Beat, Observation, Profile},
    },
};

/// Plan: the primary key. The row's index entries do not change, so it is updated in place.
pub(super) const BEAT: &str = "
UPDATE twelve.workers SET beat = beat + 1, draining = $2 WHERE id = $1";

/// The first beat has a random number, so that observers do not confuse a worker that registers again with its dead registration.
const REGISTER: &str = "
INSERT INTO twelve.workers (id, process_type, host, pid, release, concurrency, only_named, queues, kinds, draining, beat)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, floor(random() * 1000000000)::bigint)
ON CONFLICT (id) DO NOTHING";

const DEREGISTER: &str = "
DELETE FROM twelve.workers WHERE id = $1";

/// All heartbeats, whether there are orphans (claims of unregistered workers), and whether there are cancellation requests.
///
/// Plan: `claims`, which is as short as what is claimed at this moment, against the table of workers; the empty table of cancellations.
pub(super) const OBSERVE: &str = "
SELECT id, beat, EXISTS (
    SELECT FROM twelve.claims
    WHERE NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = claims.worker)
) AS orphans, EXISTS (SELECT FROM twelve.cancellations) AS cancellations
FROM twelve.workers";

/// The workers for listings, with how many jobs each holds. Plan: the table of workers; the claims of each by the primary key's prefix; their jobs by primary key, one at a time for the limit, where a join might read the whole table.
const WORKERS: &str = "
SELECT id, process_type, host, pid, release, concurrency, only_named, queues, kinds, draining, started_at,
    (
        SELECT count(*)
        FROM twelve.claims
        CROSS JOIN LATERAL unnest(claims.jobs, claims.epochs) AS lease (job, epoch)
        CROSS JOIN LATERAL (SELECT FROM twelve.jobs WHERE jobs.id = lease.job AND jobs.epoch = lease.epoch LIMIT 1) AS held
        WHERE claims.worker = workers.id
    ) AS held
FROM twelve.workers
ORDER BY process_type, host, started_at";

/// A worker's heartbeat, on a connection of its own.
pub(super) struct PostgresHeartbeat {
    db: Db,
    connection: Option<PgConnection>,
}

impl PostgresHeartbeat {
    pub(super) fn new(db: Db) -> Self {
        Self {
            db,
            connection: None,
        }
    }

    async fn try_beat(&mut self, worker: &Profile, is_draining: bool) -> Result<Beat, Error> {
        // Taken out until the statements have succeeded, so that a broken connection, or one with an answer pending, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.db.connect().await?.0,
        };
        let known = sqlx::query(BEAT)
            .bind(*worker.id.as_uuid())
            .bind(is_draining)
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        let mut beat = Beat::Known;
        if known.rows_affected() == 0 {
            sqlx::query(REGISTER)
                .bind(*worker.id.as_uuid())
                .bind(&worker.process_type)
                .bind(&worker.host)
                .bind(i32::try_from(worker.pid).unwrap_or(i32::MAX))
                .bind(&worker.release)
                .bind(i32::try_from(worker.concurrency).unwrap_or(i32::MAX))
                .bind(worker.queues.named().is_some())
                .bind(worker.queues.names())
                .bind(&worker.kinds)
                .bind(is_draining)
                .execute(&mut connection)
                .await
                .map_err(failed)?;
            beat = Beat::Registered;
        }
        self.connection = Some(connection);
        Ok(beat)
    }
}

impl HeartbeatWriter for PostgresHeartbeat {
    fn beat<'a>(&'a mut self, worker: &'a Profile, is_draining: bool) -> Answer<'a, Beat> {
        Box::pin(async move { self.try_beat(worker, is_draining).await })
    }
}

pub(super) async fn deregister(db: &Db, worker: WorkerId) -> Result<(), Error> {
    sqlx::query(DEREGISTER)
        .bind(*worker.as_uuid())
        .execute(db)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn observe(db: &Db) -> Result<Observation, Error> {
    let rows: Vec<(Uuid, i64, bool, bool)> = sqlx::query_as(OBSERVE)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let beat = |(id, beat, ..): &(Uuid, i64, bool, bool)| (WorkerId::from_uuid(*id), *beat);
    Ok(Observation {
        beats: rows.iter().map(beat).collect(),
        orphans: rows.iter().any(|(_, _, orphans, _)| *orphans),
        cancellations: rows.iter().any(|(.., cancellations)| *cancellations),
    })
}

pub(super) async fn workers(db: &Db) -> Result<Vec<WorkerSummary>, Error> {
    let rows = sqlx::query(WORKERS).fetch_all(db).await.map_err(failed)?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<WorkerSummary, Error> {
    let names: Vec<String> = row.try_get("queues")?;
    Ok(WorkerSummary {
        id: WorkerId::from_uuid(row.try_get("id")?),
        process_type: row.try_get("process_type")?,
        host: row.try_get("host")?,
        pid: counter(row.try_get("pid")?),
        release: row.try_get("release")?,
        concurrency: counter(row.try_get("concurrency")?),
        held: u64::try_from(row.try_get::<i64, _>("held")?).unwrap_or_default(),
        queues: if row.try_get("only_named")? {
            Queues::only(names)
        } else {
            Queues::all_except(names)
        },
        kinds: row.try_get("kinds")?,
        draining: row.try_get("draining")?,
        started_at: row.try_get::<Timestamp, _>("started_at")?.into(),
    })
}
