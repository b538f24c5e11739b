//! Pausing queues and kinds.
//!
//! A paused queue is left out of the survey. A paused kind shares its queue with others, so its tickets are parked when they are claimed.

use jiff_sqlx::Timestamp;
use twelve_core::{Db, Error};

use super::{failed, listen, rows};
use crate::store::verbs::{Pausable, Paused};

/// How many tickets one statement moves back to their lanes.
const BATCH: usize = 1000;

/// Plan: the primary key.
const PAUSE: &str = "
INSERT INTO twelve.pauses (what, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Plan: the primary key. Waits for the claims that are parking tickets of this kind at this moment.
const RESUME: &str = "
DELETE FROM twelve.pauses WHERE what = $1 AND name = $2";

/// Plan: the table, which holds what people have paused.
const PAUSED: &str = "
SELECT what, name, at FROM twelve.pauses ORDER BY what, name";

/// Plan: the primary key.
const HAS_QUEUE: &str = "
SELECT EXISTS (SELECT FROM twelve.queues WHERE name = $1)";

/// Moves the oldest parked tickets of a kind back to their lanes, unless it is paused. Plan: the primary key's prefix, in its order; the jobs by theirs.
///
/// The deletes come first, so that the transaction has its xid before the tickets get their numbers.
const UNPARK: &str = concat!(
    "
WITH back AS (
    DELETE FROM twelve.parked
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM twelve.parked
        WHERE kind = $1 AND NOT EXISTS (SELECT FROM twelve.pauses WHERE what = 'kind' AND name = $1)
        ORDER BY job
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING job, epoch
),
again AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", jobs.id, jobs.epoch
    FROM back JOIN twelve.jobs ON jobs.id = back.job AND jobs.epoch = back.epoch
    ORDER BY back.job
)
SELECT count(*) FROM back"
);

/// The kinds that have parked tickets and are not paused: a resume was interrupted.
///
/// Plan: one probe of the primary key for each kind that has any, however many tickets it has.
const LEFT_PARKED: &str = "
WITH RECURSIVE kinds AS (
    (SELECT kind FROM twelve.parked ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT kind FROM twelve.parked WHERE kind > kinds.kind ORDER BY kind LIMIT 1)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT kind::text FROM kinds
WHERE kind IS NOT NULL AND NOT EXISTS (SELECT FROM twelve.pauses WHERE what = 'kind' AND name = kind)";

pub(super) async fn has_queue(db: &Db, queue: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar(HAS_QUEUE).bind(queue).fetch_one(db);
    found.await.map_err(failed)
}

pub(super) async fn pause(db: &Db, what: &Pausable) -> Result<bool, Error> {
    let is_news = change(db, PAUSE, what).await?;
    listen::announce_control(db).await;
    Ok(is_news)
}

pub(super) async fn resume(db: &Db, what: &Pausable) -> Result<bool, Error> {
    let is_news = change(db, RESUME, what).await?;
    // Also when it was not paused: another resume may have been interrupted.
    if let Pausable::Kind(kind) = what {
        while unpark(db, kind, BATCH).await? >= BATCH {}
    }
    listen::announce_control(db).await;
    Ok(is_news)
}

async fn change(db: &Db, statement: &'static str, what: &Pausable) -> Result<bool, Error> {
    let changed = sqlx::query(statement)
        .bind(what.what())
        .bind(what.name())
        .execute(db)
        .await
        .map_err(failed)?;
    Ok(changed.rows_affected() > 0)
}

async fn unpark(db: &Db, kind: &str, limit: usize) -> Result<usize, Error> {
    let unparked: i64 = sqlx::query_scalar(UNPARK)
        .bind(kind)
        .bind(rows(limit))
        .fetch_one(db)
        .await
        .map_err(failed)?;
    Ok(usize::try_from(unparked).unwrap_or_default())
}

/// Moves at most `limit` tickets back to their lanes, for each kind whose resume was interrupted.
pub(super) async fn unpark_left(db: &Db, limit: usize) -> Result<(), Error> {
    let kinds: Vec<String> = sqlx::query_scalar(LEFT_PARKED)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    for kind in kinds {
        unpark(db, &kind, limit).await?;
    }
    Ok(())
}

pub(super) async fn paused(db: &Db) -> Result<Vec<Paused>, Error> {
    let rows: Vec<(String, String, Timestamp)> =
        sqlx::query_as(PAUSED).fetch_all(db).await.map_err(failed)?;
    let paused = |(what, name, at): (String, String, Timestamp)| Paused {
        what: match &*what {
            "queue" => Pausable::Queue(name),
            _ => Pausable::Kind(name),
        },
        since: at.into(),
    };
    Ok(rows.into_iter().map(paused).collect())
}
