//! Enqueues: what a producer can commit.

use anyhow::{Result, ensure};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

use super::rate;
use crate::{
    database::Database,
    postgres::Postgres,
    seen::now,
    system::{Producer, System},
    worker::command,
};

/// How long a producer enqueues one by one.
const WINDOW: Duration = Duration::from_secs(3);

/// Enqueues of each task before the clock starts, for connections and plans.
const WARM_UP: u64 = 50;

const MANY: u64 = 1000;
const BATCHES: u64 = 100;

pub async fn one_by_one(
    system: &dyn System,
    server: &Postgres,
    tasks: u32,
    is_coalesced: bool,
) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    let producer = if is_coalesced {
        system.coalescing_producer(&database, tasks).await?
    } else {
        system.producer(&database, tasks).await?
    };
    // Somebody listens, so that telling workers is a part of the price.
    let listener = match system.listener() {
        Some(arguments) => {
            let mut listener = command(system, &database, arguments)?;
            listener.stdin(Stdio::null()).stdout(Stdio::null());
            Some(listener.spawn()?)
        }
        None => None,
    };
    let ids = Arc::new(AtomicU64::new(0));
    produce(&producer, &ids, tasks, |count| count < WARM_UP).await?;
    database.settle().await?;
    let before = ids.load(Ordering::Relaxed);
    let began = now();
    let deadline = Instant::now() + WINDOW;
    produce(&producer, &ids, tasks, move |_| Instant::now() < deadline).await?;
    let took = now() - began;
    let enqueued = ids.load(Ordering::Relaxed);
    drop(listener);
    stored(system, &database, enqueued).await?;
    drop(producer);
    database.drop().await?;
    Ok(Some(vec![rate(enqueued - before, took)]))
}

/// Enqueues one by one from so many tasks, each for as long as it may go on.
async fn produce(
    producer: &Arc<dyn Producer>,
    ids: &Arc<AtomicU64>,
    tasks: u32,
    goes_on: impl Fn(u64) -> bool + Copy + Send + 'static,
) -> Result<()> {
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (producer, ids) = (Arc::clone(producer), Arc::clone(ids));
        running.spawn(async move {
            let mut count = 0;
            while goes_on(count) {
                producer
                    .enqueue(ids.fetch_add(1, Ordering::Relaxed))
                    .await?;
                count += 1;
            }
            anyhow::Ok(())
        });
    }
    running.join_all().await.into_iter().collect()
}

/// By the thousand, from one task.
pub async fn many(system: &dyn System, server: &Postgres) -> Result<Option<Vec<f64>>> {
    let database = Database::create(server).await?;
    system.prepare(&database).await?;
    let producer = system.producer(&database, 1).await?;
    let warm_up = 2 * MANY;
    for start in (0..warm_up).step_by(1000) {
        producer.enqueue_many(start..start + MANY).await?;
    }
    database.settle().await?;
    let began = now();
    for batch in 0..BATCHES {
        let start = warm_up + batch * MANY;
        producer.enqueue_many(start..start + MANY).await?;
    }
    let took = now() - began;
    stored(system, &database, warm_up + BATCHES * MANY).await?;
    drop(producer);
    database.drop().await?;
    Ok(Some(vec![rate(BATCHES * MANY, took)]))
}

async fn stored(system: &dyn System, database: &Database, enqueued: u64) -> Result<()> {
    let stored = system.unfinished(database).await?;
    ensure!(
        stored == enqueued,
        "{enqueued} jobs were enqueued, but the store shows {stored}"
    );
    Ok(())
}
