//! The lock that makes releases of one database wait for each other.

use crc::{CRC_32_ISO_HDLC, Crc};
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use tokio::time::sleep;

use crate::error::Error;

/// How often a release that waits tries again.
///
/// Each try is a statement of its own.
/// A statement that waits in `pg_advisory_lock` keeps its snapshot, and CREATE INDEX CONCURRENTLY waits until old snapshots are gone: a release that runs one would deadlock with a release that waits for it.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// How often it logs what it waits for.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A lock by one number stands in `pg_locks` as its upper and lower half, with 1 beside them (the manual's page `pg_locks`).
const HOLDER: &str = "
SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint = $1";

/// The lock that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock(i64);

/// Takes the lock for this session, however long another release holds it.
pub(super) async fn wait(connection: &mut PgConnection) -> Result<Lock, Error> {
    let database: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut *connection)
        .await?;
    let key = key(&database);
    let mut said: Option<Instant> = None;
    loop {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(Lock(key));
        }
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            said = Some(Instant::now());
            say_who_holds(connection, key).await?;
        }
        sleep(TRY_EVERY).await;
    }
}

/// Gives the lock back, as the session does when it ends.
pub(super) async fn free(connection: &mut PgConnection, Lock(key): Lock) -> Result<(), Error> {
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

async fn say_who_holds(connection: &mut PgConnection, key: i64) -> Result<(), Error> {
    let holder: Option<(i32, Option<String>)> = sqlx::query_as(HOLDER)
        .bind(key)
        .fetch_optional(connection)
        .await?;
    // Without one, it has just ended.
    if let Some((pid, application)) = holder {
        tracing::info!(
            pid,
            application = application.unwrap_or_default(),
            "another release of this database runs: waiting for it to end (SELECT pg_terminate_backend({pid}) would end it)",
        );
    }
    Ok(())
}

/// The number of sqlx's own lock, so that a release by an older binary, or by `sqlx migrate run`, is waited for too.
///
/// It is that of `generate_lock_id` in sqlx-postgres, file `migrate.rs`.
fn key(database: &str) -> i64 {
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()))
}
