//! Workers, and their heartbeats.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::failed;
use crate::{
    WorkerId,
    store::{Answer, Beat, Observation, Profile, Pulse},
};

/// Plan: the primary key. The row's index entries do not change, so it is updated in place.
const BEAT: &str = "
UPDATE twelve.workers SET beat = beat + 1 WHERE id = $1";

/// The first beat has a random number: an observer must not take a worker that is registered again for the one that it saw die.
const REGISTER: &str = "
INSERT INTO twelve.workers (id, process_type, host, pid, queues, beat)
VALUES ($1, $2, $3, $4, $5, floor(random() * 1000000000)::bigint)
ON CONFLICT (id) DO NOTHING";

const DEREGISTER: &str = "
DELETE FROM twelve.workers WHERE id = $1";

/// All heartbeats, and whether a running job has a worker that is not among them.
///
/// Plan: `jobs_running`, which is as small as what runs, against the table of workers.
const OBSERVE: &str = "
SELECT id, beat, EXISTS (
    SELECT FROM twelve.jobs
    WHERE state = 'running'
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = jobs.worker)
) AS orphans
FROM twelve.workers";

/// A worker's heart, on a connection of its own.
pub(super) struct Heart {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Heart {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            connection: None,
        }
    }

    async fn try_beat(&mut self, worker: &Profile) -> Result<Beat, sqlx::Error> {
        // Taken out until the statements have succeeded: a broken connection, or one whose answer was not awaited, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let known = sqlx::query(BEAT)
            .bind(*worker.id.as_uuid())
            .execute(&mut connection)
            .await?;
        let mut beat = Beat::Known;
        if known.rows_affected() == 0 {
            sqlx::query(REGISTER)
                .bind(*worker.id.as_uuid())
                .bind(&worker.process_type)
                .bind(&worker.host)
                .bind(i32::try_from(worker.pid).unwrap_or(i32::MAX))
                .bind(&worker.queues)
                .execute(&mut connection)
                .await?;
            beat = Beat::Registered;
        }
        self.connection = Some(connection);
        Ok(beat)
    }
}

impl Pulse for Heart {
    fn beat<'a>(&'a mut self, worker: &'a Profile) -> Answer<'a, Beat> {
        Box::pin(async move { self.try_beat(worker).await.map_err(failed) })
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
    let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(OBSERVE)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let beat = |(id, beat, _): &(Uuid, i64, bool)| (WorkerId::from_uuid(*id), *beat);
    Ok(Observation {
        beats: rows.iter().map(beat).collect(),
        orphans: rows.iter().any(|(_, _, orphans)| *orphans),
    })
}
