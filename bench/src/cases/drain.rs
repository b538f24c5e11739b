//! Drains: jobs wait, then a worker is started.

use anyhow::{Result, ensure};
use std::time::Duration;

use super::{finished, rate};
use crate::{
    database::Database,
    postgres::Postgres,
    seen::now,
    system::{Line, System},
    worker::{Report, Worker},
};

/// How long the last completions may take to be visible once the last job has started.
const TAIL: Duration = Duration::from_mins(1);

/// The clock runs from the start of the worker to the moment when the store shows every job done.
pub async fn all(system: &dyn System, server: &Postgres, jobs: u64) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    system.fill(&database, jobs, Line::Waiting).await?;
    database.settle().await?;
    let mut worker = Worker::start(system, &database, jobs, jobs)?;
    // The store is not asked before the last start: asking costs the worker, too.
    worker.complete().await?;
    finished(system, &database, TAIL).await?;
    let took = now() - worker.began();
    let report = worker.stop().await?;
    once_each(&report)?;
    ensure!(
        report.started == jobs,
        "{} jobs ran, not {jobs}",
        report.started
    );
    database.drop().await?;
    Ok(Some(vec![rate(jobs, took)]))
}

/// The clock runs from the start of the worker to the start of the last of the first jobs.
///
/// What is then on its way to the store is less than a hundredth.
pub async fn first(
    system: &dyn System,
    server: &Postgres,
    first: u64,
    waiting: u64,
    others: Option<Line>,
) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    system.fill(&database, waiting, Line::Waiting).await?;
    if let Some(others) = others {
        system.fill(&database, 1_000_000, others).await?;
    }
    database.settle().await?;
    let mut worker = Worker::start(system, &database, waiting, first)?;
    let took = worker.complete().await? - worker.began();
    let report = worker.stop().await?;
    once_each(&report)?;
    let done = waiting - system.unfinished(&database).await?;
    ensure!(
        done <= report.started,
        "the store shows {done} jobs done, but {} were started",
        report.started
    );
    database.drop().await?;
    Ok(Some(vec![rate(first, took)]))
}

fn once_each(report: &Report) -> Result<()> {
    ensure!(
        report.doubles == 0,
        "{} jobs ran more than once, or were never enqueued",
        report.doubles
    );
    Ok(())
}
