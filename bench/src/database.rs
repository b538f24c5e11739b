//! A fresh database for every measurement.

use anyhow::Result;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::postgres::Postgres;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// One database, and the referee's connections to it.
pub struct Database {
    pub name: String,
    pub url: String,
    pub pool: PgPool,
    maintenance_url: String,
}

impl Database {
    pub async fn create(server: &Postgres) -> Result<Self> {
        let name = format!("bench_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let maintenance_url = server.url("postgres");
        let mut connection = PgConnection::connect(&maintenance_url).await?;
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut connection).await?;
        connection.close().await?;
        let url = server.url(&name);
        let pool = pool(&url, 10)?;
        Ok(Self {
            name,
            url,
            pool,
            maintenance_url,
        })
    }

    /// What the fill left behind must not slow the measurement: statistics, hint bits, dirty pages.
    pub async fn settle(&self) -> Result<()> {
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::query(statement).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// A count that a statement of ours answers with.
    pub async fn count(&self, statement: &'static str) -> Result<u64> {
        let row = sqlx::query(statement).fetch_one(&self.pool).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?)?)
    }

    /// A connection elsewhere on the server, whose statements do not count as this database's.
    pub async fn onlooker(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.maintenance_url).await?)
    }

    pub async fn drop(self) -> Result<()> {
        self.pool.close().await;
        let mut connection = self.onlooker().await?;
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        sqlx::query(drop).execute(&mut connection).await?;
        Ok(())
    }
}

/// A pool as a producer who cares for speed sets it up: no ping before each statement.
pub fn pool(url: &str, size: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
        .connect_lazy_with(PgConnectOptions::from_str(url)?))
}
