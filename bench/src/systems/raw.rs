//! The physical limit: the least that a queue does which loses no job when its worker dies.
//!
//! One narrow table; claim and complete are one statement and one commit each for a batch.

use anyhow::Result;
use async_trait::async_trait;
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgListener, types::Json};
use std::{ops::Range, process::ExitCode, sync::Arc};
use tokio::task::JoinSet;

use crate::{
    database::{Database, pool},
    seen,
    system::{Ability, Line, Payload, Producer, System, block_on, database_url},
};

const CONNECTIONS: usize = 4;
const BATCH: i64 = 500;

/// States: 0 waits, 1 runs, 2 is neither, for jobs ahead of their time or done.
const TABLE: &str = "
CREATE TABLE jobs (
    id bigserial PRIMARY KEY,
    queue text NOT NULL,
    state smallint NOT NULL,
    payload jsonb NOT NULL
);
CREATE INDEX jobs_waiting ON jobs (queue, id) WHERE state = 0";

const FILL: &str = "
INSERT INTO jobs (queue, state, payload)
SELECT 'default', $2, jsonb_build_object('id', id)
FROM generate_series(0, $1 - 1) AS id";

const ENQUEUE: &str = "INSERT INTO jobs (queue, state, payload) VALUES ('default', 0, $1)";

const ENQUEUE_MANY: &str = "
INSERT INTO jobs (queue, state, payload) SELECT 'default', 0, payload FROM unnest($1::jsonb[]) AS payload";

const ENQUEUE_AND_WAKE: &str = "
WITH added AS (INSERT INTO jobs (queue, state, payload) VALUES ('default', 0, $1))
SELECT pg_notify('jobs', '')";

/// The ids as an array: the planner then sees that they are few, whatever the table's size.
const CLAIM: &str = "
UPDATE jobs SET state = 1
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs WHERE queue = 'default' AND state = 0
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING id, payload";

const COMPLETE: &str = "DELETE FROM jobs WHERE id = ANY ($1)";

const UNFINISHED: &str = "SELECT count(*) FROM jobs WHERE state < 2";

pub struct Raw;

#[async_trait]
impl System for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn can(&self, ability: Ability) -> bool {
        !matches!(ability, Ability::Coalesce | Ability::Promises)
    }

    async fn prepare(&self, database: &Database) -> Result<()> {
        sqlx::raw_sql(TABLE).execute(&database.pool).await?;
        Ok(())
    }

    async fn fill(&self, database: &Database, jobs: u64, line: Line) -> Result<()> {
        let state: i16 = if line == Line::Waiting { 0 } else { 2 };
        sqlx::query(FILL)
            .bind(i64::try_from(jobs)?)
            .bind(state)
            .execute(&database.pool)
            .await?;
        Ok(())
    }

    async fn producer(&self, database: &Database, tasks: u32) -> Result<Arc<dyn Producer>> {
        Ok(Arc::new(Statements(pool(&database.url, tasks)?)))
    }

    async fn unfinished(&self, database: &Database) -> Result<u64> {
        database.count(UNFINISHED).await
    }

    fn work(&self) -> Result<ExitCode> {
        block_on(async {
            let url = database_url()?;
            let mut listener = PgListener::connect(&url).await?;
            listener.listen("jobs").await?;
            let mut drains = JoinSet::new();
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(PgConnection::connect(&url).await?);
            }
            seen::say_first_statement();
            for connection in connections {
                drains.spawn(drain(connection));
            }
            for drained in drains.join_all().await {
                drained?;
            }
            let mut connection = PgConnection::connect(&url).await?;
            loop {
                connection = drain(connection).await?;
                listener.recv().await?;
            }
        })
    }
}

/// Claims and completes until nothing waits.
async fn drain(mut connection: PgConnection) -> Result<PgConnection> {
    loop {
        let rows = sqlx::query(CLAIM)
            .bind(BATCH)
            .fetch_all(&mut connection)
            .await?;
        if rows.is_empty() {
            return Ok(connection);
        }
        let mut done = Vec::with_capacity(rows.len());
        for row in rows {
            let Json(payload): Json<Payload> = row.try_get("payload")?;
            seen::start(payload.id);
            done.push(row.try_get::<i64, _>("id")?);
        }
        sqlx::query(COMPLETE)
            .bind(done)
            .execute(&mut connection)
            .await?;
    }
}

struct Statements(PgPool);

#[async_trait]
impl Producer for Statements {
    async fn enqueue(&self, id: u64) -> Result<()> {
        let payload = Json(Payload { id });
        sqlx::query(ENQUEUE).bind(payload).execute(&self.0).await?;
        Ok(())
    }

    async fn enqueue_and_wake(&self, id: u64) -> Result<()> {
        let statement = sqlx::query(ENQUEUE_AND_WAKE).bind(Json(Payload { id }));
        statement.execute(&self.0).await?;
        Ok(())
    }

    async fn enqueue_many(&self, ids: Range<u64>) -> Result<()> {
        let payloads: Vec<_> = ids.map(|id| Json(Payload { id })).collect();
        let statement = sqlx::query(ENQUEUE_MANY).bind(payloads);
        statement.execute(&self.0).await?;
        Ok(())
    }
}
