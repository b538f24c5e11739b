//! The whole way: a worker in this process, with everything that it does beside.

use criterion::{BenchmarkId, Criterion, Throughput};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::Notify, task::JoinHandle};
use twelve::{Context, Failure, Jobs, Queues};
use twelve_core::{Exit, Lifecycle};
use twelve_worker::{Registry, worker};

use crate::{Noop, database, group, noops};

/// One alone, which pays for everything, and as many as share it.
const COUNTS: [u64; 2] = [1, 1000];

/// How many of a round's jobs have not run.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Told when the last of them has.
static LAST: Notify = Notify::const_new();

async fn noop(_: Noop) {
    if LEFT.fetch_sub(1, Ordering::AcqRel) == 1 {
        LAST.notify_one();
    }
}

/// From the commit of the jobs, through an idle worker, to the record of the last.
pub(crate) fn run(criterion: &mut Criterion, runtime: &Runtime) {
    let worker = runtime.block_on(Worker::start());
    let mut group = group(criterion, "worker");
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|rounds| runtime.block_on(worker.sample(rounds, count)));
        });
    }
    runtime.block_on(worker.stop());
}

/// A worker that runs, and a producer in what could be another process.
struct Worker {
    producer: Context,
    lifecycle: Lifecycle,
    main: JoinHandle<Result<Exit, Failure>>,
}

impl Worker {
    async fn start() -> Self {
        let database = database::fresh().await;
        let context = database::context(&database, "worker");
        let lifecycle = context.lifecycle().clone();
        let mut registry = Registry::default();
        registry.job(noop);
        let worker = worker("worker", Queues::all(), Arc::new(registry));
        Self {
            producer: database::context(&database, "web"),
            lifecycle,
            main: tokio::spawn(worker.main(context)),
        }
    }

    async fn sample(&self, rounds: u64, count: u64) -> Duration {
        database::clear(&self.producer.db().unwrap()).await;
        let mut took = Duration::ZERO;
        for _ in 0..rounds {
            took += self.round(count).await;
        }
        took
    }

    async fn round(&self, count: u64) -> Duration {
        let (jobs, db) = (
            Jobs::of(&self.producer).unwrap(),
            self.producer.db().unwrap(),
        );
        // A process tells workers at most every 10 ms: the pause since the round before is none of this one's.
        self.producer.lifecycle().tracker().idle().await;
        let mut transaction = db.begin().await.unwrap();
        let enqueued = jobs.enqueue_many_in(&mut transaction, noops(count)).await;
        enqueued.unwrap();
        LEFT.store(count, Ordering::Release);
        let began = Instant::now();
        transaction.commit().await.unwrap();
        jobs.wake();
        LAST.notified().await;
        // A job is tracked until its end is recorded.
        self.lifecycle.tracker().idle().await;
        began.elapsed()
    }

    async fn stop(self) {
        self.lifecycle.begin_drain();
        let exit = self.main.await.unwrap();
        assert_eq!(exit.unwrap(), Exit::Done);
    }
}
