//! An old snapshot: a transaction that stays open keeps Postgres from removing dead rows; claims must not become slow over it.

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection, Row};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::finished;
use crate::{
    database::Database, postgres::Postgres, system::System, systems::twelve::schema, worker::Worker,
};

const MINUTE: Duration = Duration::from_mins(1);
const MINUTES: u32 = 5;
const PER_SECOND: u32 = 1000;
const TASKS: usize = 8;

/// Milliseconds and calls of all claims so far.
const CLAIMS: &str = "
SELECT coalesce(sum(total_exec_time), 0), coalesce(sum(calls), 0)::float8
FROM pg_stat_statements
WHERE query LIKE $1 AND dbid = (SELECT oid FROM pg_database WHERE datname = $2)";

/// The mean duration of a claim in the last minute, by that in the first.
pub async fn old_snapshot(system: &dyn System, server: &Postgres) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    database.settle().await?;
    let mut onlooker = database.onlooker().await?;
    sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .execute(&mut onlooker)
        .await?;
    let mut old = PgConnection::connect(&database.url).await?;
    for statement in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "SELECT count(*) FROM pg_class",
    ] {
        sqlx::query(statement).execute(&mut old).await?;
    }
    let jobs = u64::from(MINUTES * 60 * PER_SECOND);
    let mut worker = Worker::start(system, &database, jobs, jobs)?;
    let producer = system.producer(&database, 8).await?;
    let began = Instant::now();
    let producing = tokio::spawn(async move {
        let slots = Arc::new(Semaphore::new(TASKS));
        let mut ticks = interval(Duration::from_secs(1) / PER_SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut running = JoinSet::new();
        for id in 0..jobs {
            ticks.tick().await;
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let producer = Arc::clone(&producer);
            running.spawn(async move {
                producer.enqueue(id).await?;
                drop(slot);
                anyhow::Ok(())
            });
            while let Some(enqueued) = running.try_join_next() {
                enqueued??;
            }
        }
        running.join_all().await.into_iter().collect::<Result<()>>()
    });
    let mut minutes = vec![claims(&mut onlooker, &database).await?];
    for minute in 1..=MINUTES {
        sleep_until(began + MINUTE * minute).await;
        minutes.push(claims(&mut onlooker, &database).await?);
        let mean = mean(&minutes, minute as usize)?;
        eprintln!("    minute {minute}: {mean:.3} ms a claim");
    }
    producing.await??;
    worker.complete().await?;
    finished(system, &database, MINUTE).await?;
    let report = worker.stop().await?;
    ensure!(
        report.doubles == 0,
        "{} jobs ran more than once",
        report.doubles
    );
    old.close().await?;
    let ratio = mean(&minutes, MINUTES as usize)? / mean(&minutes, 1)?;
    database.drop().await?;
    Ok(Some(vec![ratio]))
}

async fn claims(onlooker: &mut PgConnection, database: &Database) -> Result<(f64, f64)> {
    let row = sqlx::query(CLAIMS)
        .bind(schema::CLAIM)
        .bind(&database.name)
        .fetch_one(onlooker)
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The mean duration of the claims in this minute.
fn mean(minutes: &[(f64, f64)], minute: usize) -> Result<f64> {
    let (before, after) = minutes
        .get(minute - 1)
        .zip(minutes.get(minute))
        .context("no such minute")?;
    ensure!(after.1 > before.1, "no claim in minute {minute}");
    Ok((after.0 - before.0) / (after.1 - before.1))
}
