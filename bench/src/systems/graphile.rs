//! `graphile_worker`, the Rust one: completions gathered for 5 ms, a local queue of a thousand jobs, 100 at a time.

use anyhow::Result;
use async_trait::async_trait;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext,
    WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::{ops::Range, process::ExitCode, sync::Arc, time::Duration};

use crate::{
    database::{Database, pool},
    seen,
    system::{Ability, Line, Producer, System, block_on, database_url},
};

const SCHEMA: &str = "graphile_worker";

/// As its `add_jobs` writes them, at the speed of one statement.
const FILL: &str = "
INSERT INTO graphile_worker._private_jobs (task_id, payload, run_at)
SELECT task.id, json_build_object('id', number), now() + $2 * interval '1 second'
FROM generate_series(0, $1 - 1) AS number, graphile_worker._private_tasks AS task
WHERE task.identifier = 'noop'";

const UNFINISHED: &str = "SELECT count(*) FROM graphile_worker._private_jobs WHERE run_at <= now()";

#[derive(Clone, Serialize, Deserialize)]
struct Noop {
    id: u64,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, _context: WorkerContext) -> impl IntoTaskHandlerResult {
        seen::start(self.id);
        Ok::<(), String>(())
    }
}

/// Migrates, and makes the task known.
async fn worker(pool: PgPool) -> Result<Worker> {
    let options = WorkerOptions::default()
        .schema(SCHEMA)
        .pg_pool(pool)
        .listen_os_shutdown_signals(false)
        .concurrency(100)
        .complete_job_batch_delay(Duration::from_millis(5))
        .local_queue(LocalQueueConfig::default().with_size(1000))
        .define_job::<Noop>();
    // A future of 16 kB is no part of ours.
    Ok(Box::pin(options.init()).await?)
}

pub struct Graphile;

#[async_trait]
impl System for Graphile {
    fn name(&self) -> &'static str {
        "graphile_worker"
    }

    /// It deletes what is done.
    fn can(&self, ability: Ability) -> bool {
        matches!(
            ability,
            Ability::Enqueue
                | Ability::Drain
                | Ability::Pickup
                | Ability::Backlog(Line::Waiting | Line::Scheduled)
        )
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        worker(database.pool.clone()).await?;
        Ok(())
    }

    async fn fill(&self, database: &Database, jobs: u64, line: Line) -> Result<()> {
        let delay = if line == Line::Waiting { 0 } else { 86_400 };
        sqlx::query(FILL)
            .bind(i64::try_from(jobs)?)
            .bind(delay)
            .execute(&database.pool)
            .await?;
        Ok(())
    }

    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>> {
        let pool = pool(&database.url, tasks)?;
        Ok(Arc::new(Utils(worker(pool).await?.create_utils())))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        database.count(UNFINISHED).await
    }

    fn work(&self) -> Result<ExitCode> {
        block_on(async {
            worker(pool(&database_url()?, 20)?).await?.run().await?;
            Ok(ExitCode::FAILURE)
        })
    }
}

struct Utils(WorkerUtils);

#[async_trait]
impl Producer for Utils {
    async fn enqueue(&self, id: u64) -> Result<()> {
        self.0.add_job(Noop { id }, JobSpec::default()).await?;
        Ok(())
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<_> = ids.map(|id| (Noop { id }, &spec)).collect();
        self.0.add_jobs(&jobs).await?;
        Ok(())
    }
}
