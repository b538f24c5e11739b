//! twelve: an app with one job, run as any app is.

mod app;
mod producer;
pub mod schema;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use std::{process::ExitCode, sync::Arc};

use crate::{
    database::Database,
    system::{Ability, Line, Producer, System},
    worker::command,
};

pub struct Twelve;

#[async_trait]
impl System for Twelve {
    fn name(&self) -> &'static str {
        "twelve"
    }

    fn can(&self, _ability: Ability) -> bool {
        true
    }

    fn variables(&self) -> &'static [(&'static str, &'static str)] {
        &[("TWELVE_WORKER_CONCURRENCY", "100")]
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        let release = command(self, database, &["release"])?.output().await?;
        ensure!(
            release.status.success(),
            "release failed: {}",
            String::from_utf8_lossy(&release.stderr)
        );
        Ok(())
    }

    async fn fill(&self, database: &Database, jobs: u64, line: Line) -> Result<()> {
        schema::fill(&database.pool, jobs, line).await
    }

    async fn producer(&self, database: &Database, _tasks: u32) -> Result<Arc<dyn Producer>> {
        Ok(Arc::new(producer::Enqueuer::new(&database.url)?))
    }

    async fn coalescing_producer(
        &self,
        database: &Database,
        _tasks: u32,
    ) -> Result<Arc<dyn Producer>> {
        let producer = producer::Enqueuer::new(&database.url)?;
        Ok(Arc::new(producer.coalesced()))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        database.count(schema::UNFINISHED).await
    }

    fn listener(&self) -> Option<&'static [&'static str]> {
        Some(&[app::LISTENER])
    }

    fn work(&self) -> Result<ExitCode> {
        Ok(app::app().main())
    }
}
