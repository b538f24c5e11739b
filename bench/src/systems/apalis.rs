//! `apalis-postgres`: two workers in one process, batches of 500, woken by NOTIFY.

use anyhow::Result;
use apalis::prelude::*;
use apalis_postgres::{Config, PgTask, PostgresStorage, queries::push_tasks};
use async_trait::async_trait;
use sqlx::PgPool;
use std::{ops::Range, process::ExitCode, sync::Arc, time::Duration};

use crate::{
    database::{Database, pool},
    seen,
    system::{Ability, Line, Payload, Producer, System, block_on, database_url},
};

const QUEUE: &str = "bench";
const CHUNK: u64 = 1000;

/// Completions are written when the worker polls, so the last ones wait for it.
const POLL: Duration = Duration::from_millis(50);

const UNFINISHED: &str = "SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'";

pub struct Apalis;

#[async_trait]
impl System for Apalis {
    fn name(&self) -> &'static str {
        "apalis-postgres"
    }

    /// Each of its fetches scans the whole table: with a million rows a drain takes most of an hour.
    fn can(&self, ability: Ability) -> bool {
        matches!(ability, Ability::Enqueue | Ability::Drain | Ability::Pickup)
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        PostgresStorage::setup(&database.pool).await?;
        Ok(())
    }

    async fn fill(&self, database: &Database, jobs: u64, _line: Line) -> Result<()> {
        let sink = Sink(pool(&database.url, 1)?);
        let mut next = 0;
        while next < jobs {
            let end = jobs.min(next + CHUNK);
            sink.enqueue_many(next..end).await?;
            next = end;
        }
        Ok(())
    }

    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>> {
        Ok(Arc::new(Sink(pool(&database.url, tasks)?)))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        database.count(UNFINISHED).await
    }

    fn work(&self) -> Result<ExitCode> {
        block_on(async {
            let pool = pool(&database_url()?, 20)?;
            tokio::try_join!(worker(&pool, "bench-1"), worker(&pool, "bench-2"))?;
            Ok(ExitCode::FAILURE)
        })
    }
}

async fn worker(pool: &PgPool, name: &str) -> Result<()> {
    let config = Config::default().queue(QUEUE).batch_size(500);
    let backend = PostgresStorage::<Payload>::new(pool)
        .with_config(config)
        .with_pubsub()
        .poll_with_interval(POLL);
    let worker = WorkerBuilder::new(name).backend(backend).build(noop);
    worker.run().await?;
    Ok(())
}

async fn noop(payload: Payload) -> Result<(), BoxDynError> {
    seen::start(payload.id);
    Ok(())
}

struct Sink(PgPool);

fn task(id: u64) -> Result<PgTask> {
    Ok(TaskBuilder::new(serde_json::to_vec(&Payload { id })?).build())
}

impl Sink {
    async fn push(&self, tasks: Vec<PgTask>) -> Result<()> {
        let mut connection = self.0.acquire().await?;
        push_tasks(&mut *connection, QUEUE, tasks).await?;
        Ok(())
    }
}

#[async_trait]
impl Producer for Sink {
    async fn enqueue(&self, id: u64) -> Result<()> {
        self.push(vec![task(id)?]).await
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        self.push(ids.map(task).collect::<Result<_>>()?).await
    }
}
