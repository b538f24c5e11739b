//! The store against a model of it: whatever is done in whatever order, both say the same of every job.
//!
//! A run that fails prints its seed; `TWELVE_MODEL_SEED` makes that one run again, and `TWELVE_MODEL_RUNS` says how many there are.

mod act;
mod control;
mod enqueue;
mod world;

use fastrand::Rng;
use std::{env, thread};
use tokio::runtime;
use twelve_worker::store::conformance::Fixture;

use self::world::World;
use crate::database::fresh_database;

/// How many sequences there are, and how many steps each has.
const RUNS: usize = 1000;
const STEPS: usize = 30;

/// Every how many steps all jobs are compared, and how many runs one after the other find the dead rows of those before.
const CHECK_EVERY: usize = 3;
const EMPTY_EVERY: usize = 20;

/// How many sequences go on at a time, each in a database of its own: then a seed tells all that happens.
const AT_ONCE: usize = 3;

#[test]
fn a_store_does_what_its_model_does() {
    let seeds = seeds();
    let lines = seeds.chunks(seeds.len().div_ceil(AT_ONCE));
    thread::scope(|scope| {
        for seeds in lines {
            scope.spawn(|| {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(run_all(seeds));
            });
        }
    });
}

/// One after the other: what a run leaves behind, such as the marks of its lanes, the next one finds.
async fn run_all(seeds: &[u64]) {
    let it = Fixture::postgres(fresh_database().await).await;
    for worker in [it.worker, it.other] {
        it.store.deregister(worker).await.unwrap();
    }
    for (n, seed) in seeds.iter().enumerate() {
        if n % EMPTY_EVERY == 0 {
            world::execute(&it, world::EMPTY).await;
        }
        let told = Told(*seed);
        run(&it, *seed).await;
        drop(told);
    }
}

async fn run(it: &Fixture, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(it).await;
    for step in 1..=STEPS {
        // What a step does is checked at once, and what it does to all others now and then.
        act::step(&mut world, &mut rng).await;
        if step % CHECK_EVERY == 0 {
            world.check().await;
        }
    }
    world.drain().await;
}

/// The seeds of this run.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number("TWELVE_MODEL_SEED") {
        return vec![seed];
    }
    let runs = number("TWELVE_MODEL_RUNS").map_or(RUNS, |runs| usize::try_from(runs).unwrap());
    let mut rng = Rng::new();
    (0..runs).map(|_| rng.u64(..)).collect()
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// Prints the seed of a run that panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run it again with TWELVE_MODEL_SEED={}", self.0);
        }
    }
}
