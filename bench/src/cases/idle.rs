//! What a worker of 100 slots costs that has nothing to do, and how many connections it takes to work.

use anyhow::{Context, Result};
use sqlx::{PgConnection, Row};
use std::{fs, time::Duration};
use tokio::time::{Instant, sleep};

use super::finished;
use crate::{
    database::Database,
    postgres::Postgres,
    system::{Line, System},
    worker::Worker,
};

/// Enough to use all slots and connections once.
const JOBS: u64 = 5_000;

const WINDOW: Duration = Duration::from_secs(20);

/// After the work: buffers are flushed, beats are regular.
const REST: Duration = Duration::from_secs(3);

const QUERIES: &str = "
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)";

const CONNECTIONS: &str = "
SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'";

#[allow(clippy::cast_precision_loss)]
pub async fn idle(system: &dyn System, server: &Postgres) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    system.fill(&database, JOBS, Line::Waiting).await?;
    let mut onlooker = database.onlooker().await?;
    sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .execute(&mut onlooker)
        .await?;
    let mut worker = Worker::start(system, &database, JOBS, JOBS)?;
    worker.complete().await?;
    finished(system, &database, Duration::from_secs(30)).await?;
    // From now on the worker is alone in its database.
    database.pool.close().await;
    sleep(REST).await;
    let pid = worker.pid().context("the worker has ended")?;
    let connections = ask(&mut onlooker, CONNECTIONS, &database).await?;
    let (began, cpu, queries) = (
        Instant::now(),
        cpu_seconds(pid)?,
        ask(&mut onlooker, QUERIES, &database).await?,
    );
    sleep(WINDOW).await;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = (cpu_seconds(pid)? - cpu) / seconds * 100.0;
    let queries = (ask(&mut onlooker, QUERIES, &database).await? - queries) as f64 / seconds;
    worker.stop().await?;
    database.drop().await?;
    Ok(Some(vec![cpu, queries, connections as f64]))
}

async fn ask(
    onlooker: &mut PgConnection,
    statement: &'static str,
    database: &Database,
) -> Result<i64> {
    let row = sqlx::query(statement)
        .bind(&database.name)
        .fetch_one(onlooker)
        .await?;
    Ok(row.try_get(0)?)
}

/// User and system time so far, from proc(5).
#[allow(clippy::cast_precision_loss)]
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, which may hold anything, ends with the last parenthesis; utime and stime are the 14th and 15th fields.
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let ticks: Vec<u64> = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(ticks.iter().sum::<u64>() as f64 / per_second as f64)
}
