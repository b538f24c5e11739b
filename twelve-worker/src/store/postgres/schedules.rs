//! Schedules, and the ticks that were fired.
//!
//! `now()` is written out and unqualified in each statement, for it is the clock that tests move.

use jiff_sqlx::Timestamp;
use sqlx::{PgExecutor, Row, postgres::PgRow};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{failed, microseconds, rows};
use crate::{
    job::{draft::Draft, id::JobId},
    store::{
        Store,
        timetable::{DueTicks, Fired, Registration, ScheduleState, Timetable},
    },
};

/// Plan: the primary key, once for each. In the order of their names, so that two schedulers that start at once do not deadlock.
///
/// A `since` ahead of the clock was written by a clock that has been set back: nothing would be due for as long as it was ahead.
const REGISTER: &str = "
INSERT INTO twelve.schedules AS known (name, cron, zone, since)
SELECT name, cron, zone, now()
FROM unnest($1::text[], $2::text[], $3::text[]) AS registration (name, cron, zone)
ORDER BY name
ON CONFLICT (name) DO UPDATE
SET cron = excluded.cron, zone = excluded.zone, since = excluded.since, epoch = known.epoch + 1
WHERE (known.cron, known.zone) <> (excluded.cron, excluded.zone) OR known.since > excluded.since";

/// The clock, and where each schedule stands. Plan: the primary key of the few schedules, and for each the last entry of its ticks up to now.
const TIMETABLE: &str = "
SELECT clock.now, name, since, paused_at IS NOT NULL AS is_paused, epoch, newest.tick, newest.job
FROM (SELECT now() AS now) AS clock
LEFT JOIN twelve.schedules ON name = ANY ($1)
LEFT JOIN LATERAL (
    SELECT tick, job FROM twelve.ticks
    WHERE schedule = name AND tick <= clock.now
    ORDER BY tick DESC LIMIT 1
) AS newest ON true";

/// Checks and raises the fencing token. Plan: the primary key; the row's index entry does not change, so it is updated in place.
///
/// It locks the row until the commit: of two schedulers that fire on the same state, the second waits and then finds a higher epoch.
/// A pause waits for the lock too, and nothing fires after it.
/// A scheduler that freezes before its commit loses the lock after 3 s; otherwise no other scheduler could fire the schedule.
/// That is less than the timeout of the scheduler that waits, which after a timeout would not know whether it has fired.
const TAKE: &str = "
UPDATE twelve.schedules SET epoch = epoch + 1
WHERE name = $1 AND epoch = $2 AND paused_at IS NULL
RETURNING set_config('idle_in_transaction_session_timeout', '3s', true)";

/// Decides which of these ticks have never been fired. Plan: the primary key, once for each.
const INSERT: &str = "
INSERT INTO twelve.ticks (schedule, tick, job, created_at)
SELECT $1, timestamptz 'epoch' + at_us * interval '1 microsecond', job, now()
FROM unnest($2::bigint[], $3::uuid[]) AS due (at_us, job)
ON CONFLICT (schedule, tick) DO NOTHING
RETURNING job";

/// Pauses a schedule, registering it if it is not registered yet. Plan: the primary key.
const PAUSE: &str = "
INSERT INTO twelve.schedules AS known (name, cron, zone, since, paused_at)
VALUES ($1, $2, $3, now(), now())
ON CONFLICT (name) DO UPDATE
SET paused_at = excluded.paused_at, epoch = known.epoch + 1
WHERE known.paused_at IS NULL";

/// Plan: the primary key. What was due during the pause is not made up for.
const RESUME: &str = "
UPDATE twelve.schedules SET paused_at = NULL, since = now(), epoch = epoch + 1
WHERE name = $1 AND paused_at IS NOT NULL";

/// Removes the oldest ticks of each schedule, but never its newest, from which the next ones are counted.
///
/// Plan: for each of the few schedules the primary key of its ticks from its beginning, without a sort, then the rows by their place.
/// Two schedulers that prune at once skip each other's rows.
const PRUNE: &str = "
DELETE FROM twelve.ticks
WHERE ctid = ANY (ARRAY(
    SELECT old.ctid
    FROM twelve.schedules
    CROSS JOIN LATERAL (
        SELECT ctid FROM twelve.ticks
        WHERE schedule = name
          AND tick <= now() - $1 * interval '1 microsecond'
          AND tick < (SELECT max(tick) FROM twelve.ticks WHERE schedule = name AND tick <= now())
        ORDER BY tick
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS old
    LIMIT $2
))";

/// The store of schedules. It is always the app's own Postgres, whatever store the jobs are in, since a tick commits together with the enqueue.
#[derive(Clone, Debug)]
pub struct ScheduleStore {
    db: Db,
    store: Arc<dyn Store>,
}

impl ScheduleStore {
    /// The schedules in this database, whose jobs go to this store.
    #[must_use]
    pub fn new(db: Db, store: Arc<dyn Store>) -> Self {
        Self { db, store }
    }

    /// Makes these schedules known.
    ///
    /// One that is new, or whose expression or zone has changed, begins now.
    /// So does one that would begin in the future, for the clock was set back.
    ///
    /// # Errors
    ///
    /// As all verbs here: [`Error::is_unavailable`] when Postgres is; another error when its tables are missing.
    pub async fn register(&self, registrations: &[Registration]) -> Result<(), Error> {
        let column = |field: fn(&Registration) -> &String| {
            let values = registrations.iter().map(field).cloned();
            values.collect::<Vec<_>>()
        };
        sqlx::query(REGISTER)
            .bind(column(|registration| &registration.name))
            .bind(column(|registration| &registration.cron))
            .bind(column(|registration| &registration.zone))
            .execute(&self.db)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Where these schedules stand, those of them that are known, and the clock that decides what is due.
    ///
    /// # Errors
    ///
    /// See [`register`](Self::register).
    pub async fn timetable(&self, schedules: &[String]) -> Result<Timetable, Error> {
        let rows = sqlx::query(TIMETABLE)
            .bind(schedules)
            .fetch_all(&self.db)
            .await
            .map_err(failed)?;
        let clock = rows
            .first()
            .ok_or_else(|| Error::internal("Postgres did not tell its time"))?;
        let states = rows.iter().filter_map(|row| state(row).transpose());
        Ok(Timetable {
            now: time(clock.try_get("now")?),
            schedules: states.collect::<Result<_, _>>()?,
        })
    }

    /// Records these ticks as fired and enqueues their jobs, all or none, if the schedule still stands as it did.
    ///
    /// # Errors
    ///
    /// See [`register`](Self::register). After a cut connection it is unknown whether they were fired; the timetable tells.
    pub async fn fire(&self, due: DueTicks) -> Result<Fired, Error> {
        let mut transaction = self.db.begin().await?;
        let taken = sqlx::query(TAKE)
            .bind(&due.schedule)
            .bind(due.epoch)
            .fetch_optional(&mut transaction)
            .await
            .map_err(failed)?;
        if taken.is_none() {
            return Ok(Fired::Stale);
        }
        let new = insert(&mut transaction, &due).await?;
        let mut drafts: Vec<Draft> = due.ticks.into_iter().map(|(_, draft)| draft).collect();
        drafts.retain(|draft| new.contains(draft.id.as_uuid()));
        let enqueued = drafts.len();
        if enqueued > 0 {
            let connection = transaction.limited_connection()?;
            self.store.enqueue_in(connection, drafts).await?;
        }
        transaction.commit().await?;
        Ok(Fired::Enqueued(enqueued))
    }

    /// Pauses a schedule, which need not be known: once this has answered, nothing fires. Tells whether it was not paused before.
    ///
    /// # Errors
    ///
    /// See [`register`](Self::register).
    pub async fn pause(&self, registration: &Registration) -> Result<bool, Error> {
        let paused = sqlx::query(PAUSE)
            .bind(&registration.name)
            .bind(&registration.cron)
            .bind(&registration.zone)
            .execute(&self.db)
            .await
            .map_err(failed)?;
        Ok(paused.rows_affected() > 0)
    }

    /// Lets a paused schedule begin again, now. Tells whether it was paused.
    ///
    /// # Errors
    ///
    /// See [`register`](Self::register).
    pub async fn resume(&self, schedule: &str) -> Result<bool, Error> {
        let resumed = sqlx::query(RESUME)
            .bind(schedule)
            .execute(&self.db)
            .await
            .map_err(failed)?;
        Ok(resumed.rows_affected() > 0)
    }

    /// Removes at most `limit` ticks from longer ago than `age`, but never the newest of a schedule; tells how many.
    ///
    /// # Errors
    ///
    /// See [`register`](Self::register).
    pub async fn prune(&self, age: Duration, limit: usize) -> Result<usize, Error> {
        let pruned = sqlx::query(PRUNE)
            .bind(microseconds(age))
            .bind(rows(limit))
            .execute(&self.db)
            .await
            .map_err(failed)?;
        Ok(usize::try_from(pruned.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// `None` for the row that only tells the time.
fn state(row: &PgRow) -> Result<Option<ScheduleState>, Error> {
    let Some(name) = row.try_get("name")? else {
        return Ok(None);
    };
    let newest: Option<Timestamp> = row.try_get("tick")?;
    let job: Option<Uuid> = row.try_get("job")?;
    Ok(Some(ScheduleState {
        name,
        since: time(row.try_get("since")?),
        is_paused: row.try_get("is_paused")?,
        epoch: row.try_get("epoch")?,
        newest: newest.map(time).zip(job.map(JobId::from_uuid)),
    }))
}

fn time(timestamp: Timestamp) -> SystemTime {
    timestamp.to_jiff().into()
}

/// The jobs of those ticks that had never been fired.
async fn insert(on: impl PgExecutor<'_>, due: &DueTicks) -> Result<Vec<Uuid>, Error> {
    let at_us = |at: &SystemTime| {
        let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    };
    let (instants_us, jobs): (Vec<_>, Vec<_>) = due
        .ticks
        .iter()
        .map(|(at, draft)| (at_us(at), *draft.id.as_uuid()))
        .unzip();
    sqlx::query_scalar(INSERT)
        .bind(&due.schedule)
        .bind(instants_us)
        .bind(jobs)
        .fetch_all(on)
        .await
        .map_err(failed)
}
