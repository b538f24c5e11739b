//! What the hot path of a job costs, in parts and as a whole.
//!
//! ```text
//! new_job          payload ─► JSON, id, policy: no database
//! enqueue          ─► jobs, ready
//! claim, ack       ready ─► claims ─► (gone): the store alone
//! worker           commit ─► claimer ─► buffer ─► slot ─► acker
//! ```
//!
//! The database is the test kit's: a private Postgres, which waits for no disk.
//! So these figures are for a change of the code, to be compared with those before it; what a queue can do is measured in `bench/`.

mod database;
mod enqueue;
mod store;
mod worker;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use std::time::Duration;
use tokio::runtime::Runtime;
use twelve::prelude::*;
use twelve_core::{Environment, telemetry};

/// A job that does nothing, and of which nothing stays.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "noop", keep = "nothing")]
struct Noop {
    id: u64,
}

/// So many different ones.
fn noops(count: u64) -> impl Iterator<Item = Noop> {
    (0..count).map(|id| Noop { id })
}

fn main() {
    // As a process does: a span that is on has its price.
    telemetry::start(telemetry::Logs::Stderr, &Environment::of_process());
    let runtime = Runtime::new().expect("a runtime");
    // A pool belongs to a runtime, also while nothing waits for it.
    let _entered = runtime.enter();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    enqueue::new_job(&mut criterion);
    enqueue::enqueue(&mut criterion, &runtime);
    store::claim_and_ack(&mut criterion, &runtime);
    worker::run(&mut criterion, &runtime);
    criterion.final_summary();
}

/// For what takes milliseconds: all samples have the same number of rounds.
fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}
