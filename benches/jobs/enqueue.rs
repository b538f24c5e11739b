//! The producer's side.

use criterion::{Criterion, Throughput};
use sqlx::PgConnection;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use twelve::{Db, Jobs};
use twelve_worker::IntoNewJob;

use crate::{Noop, database, group, noops};

/// How many jobs one statement adds.
const MANY: u64 = 1000;

/// What an enqueue does before it turns to the database.
pub(crate) fn new_job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new_job");
    group.throughput(Throughput::Elements(1));
    group.bench_function("noop", |bencher| {
        bencher.iter(|| black_box(Noop { id: 7 }).into_new_job());
    });
}

/// On one connection, with a commit for each call.
pub(crate) fn enqueue(criterion: &mut Criterion, runtime: &Runtime) {
    let context = runtime.block_on(async { database::context(&database::fresh().await, "web") });
    let (jobs, db) = (Jobs::of(&context).unwrap(), context.db().unwrap());
    let one = async |connection: &mut PgConnection| {
        jobs.enqueue_in(connection, Noop { id: 7 }).await.unwrap();
    };
    let many = async |connection: &mut PgConnection| {
        let enqueued = jobs.enqueue_many_in(connection, noops(MANY)).await;
        enqueued.unwrap();
    };
    let mut group = group(criterion, "enqueue");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one", |bencher| {
        bencher.iter_custom(|rounds| runtime.block_on(calls(&db, rounds, one)));
    });
    group.throughput(Throughput::Elements(MANY));
    group.bench_function("many", |bencher| {
        bencher.iter_custom(|rounds| runtime.block_on(calls(&db, rounds, many)));
    });
}

async fn calls(db: &Db, rounds: u64, call: impl AsyncFn(&mut PgConnection)) -> Duration {
    database::clear(db).await;
    let mut connection = db.acquire().await.unwrap();
    let began = Instant::now();
    for _ in 0..rounds {
        call(&mut connection).await;
    }
    began.elapsed()
}
