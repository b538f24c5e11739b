//! `awa`: 4096 workers, for a job holds its worker until its completion is durable, so that their number is the size of a batch.

use anyhow::{Result, ensure};
use async_trait::async_trait;
use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage,
    QueueStorageConfig, insert_with, migrations,
};
use serde::{Deserialize, Serialize};
use sqlx_08::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{ops::Range, process::ExitCode, str::FromStr, sync::Arc};
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    database::Database,
    seen,
    system::{Ability, Line, Producer, System, block_on, database_url},
};

const QUEUE: &str = "bench";
const CHUNK: u64 = 10_000;

/// Its own `queue_counts` takes up to 0.7 s a call, which would be a part of the measurement.
const UNFINISHED: &str = "
SELECT
    (SELECT count(*) FROM awa.ready_entries)
    - (SELECT coalesce(sum(completed_count), 0)::bigint FROM awa.receipt_completion_batches)
    - (SELECT count(*) FROM awa.done_entries)";

#[derive(Serialize, Deserialize, JobArgs)]
struct Noop {
    id: i64,
}

/// It brings an older sqlx.
fn pool(url: &str, size: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .test_before_acquire(false)
        .connect_lazy_with(PgConnectOptions::from_str(url)?))
}

fn options() -> InsertOpts {
    InsertOpts {
        queue: QUEUE.to_owned(),
        ..InsertOpts::default()
    }
}

pub struct Awa;

#[async_trait]
impl System for Awa {
    fn name(&self) -> &'static str {
        "awa"
    }

    fn can(&self, ability: Ability) -> bool {
        matches!(
            ability,
            Ability::Enqueue | Ability::Drain | Ability::Pickup | Ability::Backlog(Line::Waiting)
        )
    }

    fn variables(&self) -> &'static [(&'static str, &'static str)] {
        &[("AWA_COMPLETION_SHARDS", "1")]
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        // Its migrations are a future that cannot be sent to another thread.
        block_in_place(|| Handle::current().block_on(install(&database.url)))
    }

    async fn fill(&self, database: &Database, jobs: u64, _line: Line) -> Result<()> {
        let inserter = Inserter::new(&database.url, 1)?;
        let mut next = 0;
        while next < jobs {
            let end = jobs.min(next + CHUNK);
            inserter.enqueue_many(next..end).await?;
            next = end;
        }
        Ok(())
    }

    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>> {
        Ok(Arc::new(Inserter::new(&database.url, tasks)?))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        database.count(UNFINISHED).await
    }

    fn work(&self) -> Result<ExitCode> {
        block_on(async {
            let queue = QueueConfig {
                max_workers: 4096,
                ..QueueConfig::default()
            };
            let client = Client::builder(pool(&database_url()?, 20)?)
                .queue(QUEUE, queue)
                .register::<Noop, _, _>(|noop: Noop, _context| {
                    seen::start(noop.id.unsigned_abs());
                    std::future::ready(Ok(JobResult::Completed))
                })
                .build()?;
            client.start().await?;
            std::future::pending::<()>().await;
            Ok(ExitCode::FAILURE)
        })
    }
}

async fn install(url: &str) -> Result<()> {
    let pool = pool(url, 2)?;
    migrations::run(&pool).await?;
    let storage = QueueStorage::new(QueueStorageConfig::default())?;
    storage.install(&pool).await?;
    pool.close().await;
    Ok(())
}

struct Inserter {
    pool: PgPool,
    storage: QueueStorage,
}

impl Inserter {
    fn new(url: &str, tasks: u32) -> Result<Self> {
        Ok(Self {
            pool: pool(url, tasks)?,
            storage: QueueStorage::new(QueueStorageConfig::default())?,
        })
    }
}

#[async_trait]
impl Producer for Inserter {
    async fn enqueue(&self, id: u64) -> Result<()> {
        let noop = Noop {
            id: i64::try_from(id)?,
        };
        insert_with(&self.pool, &noop, options()).await?;
        Ok(())
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        let wanted = ids.end - ids.start;
        let jobs: Vec<_> = ids
            .map(|id| InsertParams {
                kind: Noop::kind().to_owned(),
                args: serde_json::json!({ "id": id }),
                opts: options(),
            })
            .collect();
        let added = self.storage.enqueue_params_copy(&self.pool, &jobs).await?;
        ensure!(u64::try_from(added)? == wanted, "only {added} were added");
        Ok(())
    }
}
