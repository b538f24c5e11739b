//! A fresh database with twelve's tables.

use sqlx::postgres::PgConnectOptions;
use twelve::test::TestDatabase;
use twelve_core::migrations::Migrations;
use twelve_worker::migrations;

/// The test kit drops it when this process is gone.
pub(crate) async fn fresh_database() -> PgConnectOptions {
    let migrations = Migrations::new(migrations(), None);
    let database = TestDatabase::fresh(&migrations).await.unwrap();
    database.url().parse().unwrap()
}
