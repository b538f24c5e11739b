//! What is measured, and how each measurement is made.

mod drain;
mod enqueue;
mod idle;
mod pickup;
mod snapshot;

use anyhow::Result;
use std::time::Duration;

use crate::{
    postgres::Postgres,
    system::{Ability, Line, System},
};

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub unit: &'static str,
}

/// What one run of a system gives: a value for each of the cases, or none if it could not keep up.
pub struct Measurement {
    pub cases: &'static [Case],
    pub ability: Ability,
    how: How,
}

enum How {
    /// All of so many jobs.
    Drain {
        jobs: u64,
    },
    /// The first of so many jobs, with others in the table.
    DrainFirst {
        first: u64,
        waiting: u64,
        others: Option<Line>,
    },
    Enqueue {
        tasks: u32,
        is_coalesced: bool,
    },
    EnqueueMany,
    Pickup {
        per_second: u32,
    },
    Idle,
    Snapshot,
}

const MILLION: u64 = 1_000_000;

/// How many jobs a drain of a part takes.
const FIRST: u64 = 200_000;

macro_rules! cases {
    ($($name:literal in $unit:literal),+) => {
        &[$(Case { name: $name, unit: $unit }),+]
    };
}

const fn drain_first(
    cases: &'static [Case],
    ability: Ability,
    waiting: u64,
    others: Option<Line>,
) -> Measurement {
    let how = How::DrainFirst {
        first: FIRST,
        waiting,
        others,
    };
    Measurement {
        cases,
        ability,
        how,
    }
}

const fn simple(cases: &'static [Case], ability: Ability, how: How) -> Measurement {
    Measurement {
        cases,
        ability,
        how,
    }
}

const fn enqueue(cases: &'static [Case], tasks: u32) -> Measurement {
    let how = How::Enqueue {
        tasks,
        is_coalesced: false,
    };
    simple(cases, Ability::Enqueue, how)
}

const fn coalesced(cases: &'static [Case], tasks: u32) -> Measurement {
    let how = How::Enqueue {
        tasks,
        is_coalesced: true,
    };
    simple(cases, Ability::Coalesce, how)
}

/// All measurements, in the order in which they are made.
pub static ALL: &[Measurement] = &[
    simple(
        cases!["drain-100k" in "jobs/s"],
        Ability::Drain,
        How::Drain { jobs: 100_000 },
    ),
    enqueue(cases!["enqueue-1" in "jobs/s"], 1),
    enqueue(cases!["enqueue-8" in "jobs/s"], 8),
    enqueue(cases!["enqueue-32" in "jobs/s"], 32),
    coalesced(cases!["enqueue-coalesced-8" in "jobs/s"], 8),
    coalesced(cases!["enqueue-coalesced-32" in "jobs/s"], 32),
    simple(
        cases!["enqueue-many" in "jobs/s"],
        Ability::Enqueue,
        How::EnqueueMany,
    ),
    simple(
        cases!["pickup-p50" in "ms", "pickup-p99" in "ms"],
        Ability::Pickup,
        How::Pickup { per_second: 50 },
    ),
    simple(
        cases!["pickup-1000-p50" in "ms", "pickup-1000-p99" in "ms"],
        Ability::Pickup,
        How::Pickup { per_second: 1000 },
    ),
    drain_first(
        cases!["drain-200k-of-200k" in "jobs/s"],
        Ability::Drain,
        FIRST,
        None,
    ),
    drain_first(
        cases!["drain-200k-of-1m" in "jobs/s"],
        Ability::Backlog(Line::Waiting),
        MILLION,
        None,
    ),
    drain_first(
        cases!["drain-200k-of-10m" in "jobs/s"],
        Ability::HugeBacklog,
        10 * MILLION,
        None,
    ),
    drain_first(
        cases!["drain-200k-of-scheduled-1m" in "jobs/s"],
        Ability::Backlog(Line::Scheduled),
        FIRST,
        Some(Line::Scheduled),
    ),
    drain_first(
        cases!["drain-200k-of-finished-1m" in "jobs/s"],
        Ability::Backlog(Line::Finished),
        FIRST,
        Some(Line::Finished),
    ),
    simple(
        cases!["idle-cpu" in "% of a core", "idle-queries" in "1/s", "connections" in ""],
        Ability::Promises,
        How::Idle,
    ),
    simple(
        cases!["old-snapshot" in "ratio"],
        Ability::Promises,
        How::Snapshot,
    ),
];

impl Measurement {
    /// Whether it is made only when it is asked for, because it takes too long.
    pub fn is_extra(&self) -> bool {
        matches!(self.how, How::Snapshot)
    }

    /// Whether the server must count statements, which costs a little for all.
    pub fn counts_statements(&self) -> bool {
        matches!(self.how, How::Idle | How::Snapshot)
    }

    /// Makes it once. A system that did not run each job exactly once is an error.
    pub async fn make(&self, system: &dyn System, server: &Postgres) -> Result<Option<Vec<f64>>> {
        match self.how {
            How::Drain { jobs } => drain::all(system, server, jobs).await,
            How::DrainFirst {
                first,
                waiting,
                others,
            } => drain::first(system, server, first, waiting, others).await,
            How::Enqueue {
                tasks,
                is_coalesced,
            } => enqueue::one_by_one(system, server, tasks, is_coalesced).await,
            How::EnqueueMany => enqueue::many(system, server).await,
            How::Pickup { per_second } => pickup::pickup(system, server, per_second).await,
            How::Idle => idle::idle(system, server).await,
            How::Snapshot => snapshot::old_snapshot(system, server).await,
        }
    }
}

/// Waits until the store shows that nothing is left to do.
async fn finished(
    system: &dyn System,
    database: &crate::database::Database,
    within: Duration,
) -> Result<()> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let unfinished = system.unfinished(database).await?;
        if unfinished == 0 {
            return Ok(());
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "{unfinished} jobs are not done after {within:?}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Jobs per second.
#[allow(clippy::cast_precision_loss)] // far fewer than 2^52
fn rate(jobs: u64, nanos: u64) -> f64 {
    jobs as f64 * 1e9 / nanos as f64
}
