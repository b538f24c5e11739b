//! The limit of an enqueue: bare statements that write the same rows into a copy of twelve's own tables.

use anyhow::{Result, bail};
use async_trait::async_trait;
use sqlx::PgPool;
use std::{ops::Range, process::ExitCode, sync::Arc};
use uuid::Uuid;

use super::twelve::{Twelve, schema};
use crate::{
    database::{Database, pool},
    system::{Ability, Line, Payload, Producer, System},
};

pub struct RawTwelve;

#[async_trait]
impl System for RawTwelve {
    fn name(&self) -> &'static str {
        "raw-twelve"
    }

    fn can(&self, ability: Ability) -> bool {
        ability == Ability::Enqueue
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        Twelve.prepare(database).await
    }

    async fn fill(&self, database: &Database, jobs: u64, line: Line) -> Result<()> {
        Twelve.fill(database, jobs, line).await
    }

    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>> {
        Ok(Arc::new(Statements(pool(&database.url, tasks)?)))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        Twelve.unfinished(database).await
    }

    fn work(&self) -> Result<ExitCode> {
        bail!("nothing runs these jobs")
    }
}

struct Statements(PgPool);

fn payload(id: u64) -> Result<String> {
    Ok(serde_json::to_string(&Payload { id })?)
}

#[async_trait]
impl Producer for Statements {
    async fn enqueue(&self, id: u64) -> Result<()> {
        sqlx::query(schema::BARE_ENQUEUE)
            .bind(Uuid::now_v7())
            .bind(payload(id)?)
            .execute(&self.0)
            .await?;
        Ok(())
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        let payloads: Vec<_> = ids.map(payload).collect::<Result<_>>()?;
        let ids: Vec<_> = payloads.iter().map(|_| Uuid::now_v7()).collect();
        sqlx::query(schema::BARE_ENQUEUE_MANY)
            .bind(ids)
            .bind(payloads)
            .execute(&self.0)
            .await?;
        Ok(())
    }
}
