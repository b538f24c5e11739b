//! The database of one group.

use sqlx::{ConnectOptions, Executor, postgres::PgConnectOptions};
use twelve::{Context, Environment, test::TestDatabase};
use twelve_core::{Db, Identity, Lifecycle, Registry, migrations::Migrations};
use twelve_worker::migrations;

/// Without the clock that tests can move: it makes every `now()` a call of a function.
const TRUE_CLOCK: &str = "
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I RESET search_path', current_database());
END $$";

/// What grows with the rounds.
const CLEAR: &str = "TRUNCATE twelve.jobs, twelve.ready, twelve.claims";

/// A fresh one with twelve's tables; the test kit drops it when this process is gone.
pub(crate) async fn fresh() -> PgConnectOptions {
    let migrations = Migrations::new(migrations(), None);
    let database = TestDatabase::fresh(&migrations).await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    connection.execute(TRUE_CLOCK).await.unwrap();
    options
}

/// What a process on it has: each call is another process.
pub(crate) fn context(database: &PgConnectOptions, process_type: &str) -> Context {
    let environment = Environment::default()
        .with("DATABASE_URL", database.to_url_lossy().as_str())
        .with("TWELVE_WORKER_CONCURRENCY", "100");
    Context::new(
        Identity::new("bench", process_type),
        environment,
        Lifecycle::default(),
        Registry::default(),
    )
}

/// Every sample begins without what earlier ones left.
pub(crate) async fn clear(db: &Db) {
    db.execute(CLEAR).await.unwrap();
}
