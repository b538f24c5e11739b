//! Pickup: from the end of the enqueue call to the start of the handler, on a worker that is not busy.

use anyhow::{Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::finished;
use crate::{
    database::Database,
    postgres::Postgres,
    seen::now,
    system::{Producer, System},
    worker::Worker,
};

const SECONDS: u32 = 10;

/// Jobs one after the other before the clock starts: by then the worker is up, and idle.
const WARM_UP: u64 = 20;

/// How many enqueues may be on their way at once.
const TASKS: u32 = 8;

/// A producer that takes longer does not keep up, and the value would mean nothing.
const LONGEST: Duration = Duration::from_millis(10_500);

const PATIENCE: Duration = Duration::from_secs(30);

pub async fn pickup(
    system: &dyn System,
    server: &Postgres,
    per_second: u32,
) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    database.settle().await?;
    let producer = system.producer(&database, TASKS).await?;
    let jobs = u64::from(SECONDS * per_second);
    let mut worker = Worker::start(system, &database, WARM_UP + jobs, WARM_UP + jobs)?;
    for id in 0..WARM_UP {
        producer.enqueue_and_wake(id).await?;
        finished(system, &database, PATIENCE).await?;
    }
    let Some(committed) = produce(&producer, jobs, per_second).await? else {
        eprintln!(
            "{}: cannot enqueue {per_second} jobs a second",
            system.name()
        );
        worker.stop().await?;
        drop(producer);
        database.drop().await?;
        return Ok(None);
    };
    worker.complete().await?;
    finished(system, &database, PATIENCE).await?;
    let report = worker.stop().await?;
    ensure!(
        report.doubles == 0,
        "{} jobs ran more than once",
        report.doubles
    );
    drop(producer);
    database.drop().await?;
    let started = &report.starts[usize::try_from(WARM_UP)?..];
    ensure!(
        started.len() == committed.len(),
        "not all starts were reported"
    );
    let mut waits: Vec<f64> = started
        .iter()
        .zip(&committed)
        .map(|(start, commit)| milliseconds(*start, *commit))
        .collect();
    waits.sort_by(f64::total_cmp);
    Ok(Some(vec![
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
    ]))
}

/// Enqueues at a steady rate; answers when each call returned, or nothing when it fell behind.
async fn produce(
    producer: &Arc<dyn Producer>,
    jobs: u64,
    per_second: u32,
) -> Result<Option<Vec<u64>>> {
    let committed: Arc<Vec<AtomicU64>> = Arc::new((0..jobs).map(|_| AtomicU64::new(0)).collect());
    let slots = Arc::new(Semaphore::new(TASKS as usize));
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    let began = Instant::now();
    for index in 0..committed.len() {
        ticks.tick().await;
        if began.elapsed() > LONGEST {
            return Ok(None);
        }
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let (producer, committed) = (Arc::clone(producer), Arc::clone(&committed));
        running.spawn(async move {
            producer.enqueue_and_wake(WARM_UP + index as u64).await?;
            committed[index].store(now(), Ordering::Relaxed);
            drop(slot);
            anyhow::Ok(())
        });
    }
    running
        .join_all()
        .await
        .into_iter()
        .collect::<Result<()>>()?;
    let committed = committed.iter().map(|at| at.load(Ordering::Relaxed));
    Ok(Some(committed.collect()))
}

/// Below zero when the handler was faster than the answer to the producer.
#[allow(clippy::cast_precision_loss)]
fn milliseconds(start: u64, commit: u64) -> f64 {
    start.cast_signed().wrapping_sub(commit.cast_signed()) as f64 / 1e6
}
