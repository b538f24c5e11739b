//! What the bench asks of a system.

use anyhow::Result;
use async_trait::async_trait;
use std::{ops::Range, process::ExitCode, sync::Arc};

use crate::database::Database;

/// Where the jobs of a fill stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Due now; the first has the id 0.
    Waiting,
    /// Due in a day.
    Scheduled,
    /// Done, and kept.
    Finished,
}

/// What a system takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    Enqueue,
    Coalesce,
    Drain,
    /// Drain with a million jobs in the table, in this line.
    Backlog(Line),
    /// Drain with ten million waiting.
    HugeBacklog,
    Pickup,
    /// What only twelve promises: the cost of an idle worker, its connections, an old snapshot.
    Promises,
}

/// A job queue, or the least that one could do.
#[async_trait]
pub trait System: Send + Sync {
    fn name(&self) -> &'static str;

    /// Whether it takes part; why not stands in README.md.
    fn can(&self, ability: Ability) -> bool;

    /// The variables of its processes.
    fn variables(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Creates its tables in an empty database.
    async fn prepare(&self, database: &Database) -> Result<()>;

    /// Adds jobs.
    async fn fill(&self, database: &Database, jobs: u64, line: Line) -> Result<()>;

    /// A producer for so many tasks at once.
    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>>;

    /// A producer that coalesces what its tasks enqueue at the same time.
    async fn coalescing_producer(
        &self,
        database: &Database,
        tasks: u32,
    ) -> Result<Arc<dyn Producer>> {
        self.producer(database, tasks).await
    }

    /// How many jobs the store does not show as done, those ahead of their time not counted.
    async fn unfinished(&self, database: &Database) -> Result<u64>;

    /// Arguments of a process that listens for jobs but runs none of these.
    fn listener(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Is the worker: runs jobs until the process is ended.
    fn work(&self) -> Result<ExitCode>;
}

/// Enqueues jobs whose payload is `{"id": n}`.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Enqueues one; when it answers, the job is committed.
    async fn enqueue(&self, id: u64) -> Result<()>;

    /// Enqueues one such that an idle worker learns of it at once, where that is not the same.
    async fn enqueue_and_wake(&self, id: u64) -> Result<()> {
        self.enqueue(id).await
    }

    /// Enqueues many with one call.
    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()>;
}

/// The payload.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Payload {
    pub id: u64,
}

/// The runtime of a worker that brings none.
pub fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// The database of a worker.
pub fn database_url() -> Result<String> {
    Ok(std::env::var("DATABASE_URL")?)
}
