//! A database of the test's own, and an operator who changes it.

use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, postgres::PgConnectOptions};
use twelve::test::TestDatabase;
use twelve_core::{
    Context, Db, Environment, Error, Identity, Lifecycle, Registry, migrations::Migrations,
};

/// Whole rows of this table are what most tests read.
pub(crate) const THINGS: &str = "
    CREATE TABLE things (id int, name text);
    INSERT INTO things VALUES (1, 'one'), (2, 'two'), (3, 'three')";

pub(crate) const SELECT: &str = "SELECT * FROM things ORDER BY id";

pub(crate) struct Database {
    /// What is tested.
    pub(crate) db: Db,
    /// A connection beside it.
    operator: PgConnection,
    url: String,
    columns: u32,
}

impl Database {
    /// Fresh, with what `setup` makes, and a pool of one connection: what was warm is what is used next.
    pub(crate) async fn with(setup: &'static str) -> Self {
        Self::pooled(1, setup).await
    }

    /// The test kit drops it when this process is gone.
    pub(crate) async fn pooled(connections: u32, setup: &'static str) -> Self {
        let migrations = Migrations::new(Vec::new(), None);
        let database = TestDatabase::fresh(&migrations).await.unwrap();
        let options: PgConnectOptions = database.url().parse().unwrap();
        let mut operator = options.connect().await.unwrap();
        operator.execute(setup).await.unwrap();
        Self {
            db: Db::new(options, connections),
            operator,
            url: database.url().to_owned(),
            columns: 0,
        }
    }

    /// The same pool in a process that is told how long a statement may take.
    pub(crate) fn told_timeout(&self, timeout: &str) -> Db {
        let environment = Environment::default()
            .with("DATABASE_URL", &*self.url)
            .with("TWELVE_DATABASE_TIMEOUT", timeout);
        let identity = Identity::new("core", "tests");
        let context = Context::new(
            identity,
            environment,
            Lifecycle::default(),
            Registry::default(),
        );
        context.db().unwrap().sibling(self.db.size())
    }

    /// Somebody else who holds the table `things` for as long as this connection is open.
    pub(crate) async fn hold_things(&self) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().unwrap();
        let mut holder = options.connect().await.unwrap();
        let hold = "BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE";
        holder.execute(hold).await.unwrap();
        holder
    }

    pub(crate) async fn operate(&mut self, sql: &'static str) {
        self.operator.execute(sql).await.unwrap();
    }

    /// Gives `things` another column: no plan of [`SELECT`] holds any more.
    pub(crate) async fn add_column(&mut self) {
        self.columns += 1;
        let add = format!("ALTER TABLE things ADD COLUMN column_{} text", self.columns);
        self.operator.execute(AssertSqlSafe(add)).await.unwrap();
    }

    /// The one number that it answers, whatever became of the pool.
    pub(crate) async fn number(&mut self, sql: &'static str) -> i64 {
        let asked = sqlx::query_scalar(sql).fetch_one(&mut self.operator);
        asked.await.unwrap()
    }

    /// Waits until there is no such row.
    pub(crate) async fn until_none(&mut self, from: &'static str) {
        let exist = format!("SELECT EXISTS (SELECT FROM {from})");
        let gone = async {
            loop {
                let asked = sqlx::query_scalar(AssertSqlSafe(exist.clone()));
                let exist: bool = asked.fetch_one(&mut self.operator).await.unwrap();
                if !exist {
                    return;
                }
            }
        };
        let gone = tokio::time::timeout(std::time::Duration::from_secs(20), gone).await;
        gone.unwrap_or_else(|_| panic!("still there: {from}"));
    }

    /// A setting of the database, which connections that are open do not hear of.
    pub(crate) async fn set_read_only(&mut self, value: &'static str) {
        let set = format!(
            "DO $$ BEGIN
                EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}', current_database());
            END $$"
        );
        self.operator.execute(AssertSqlSafe(set)).await.unwrap();
    }
}

/// What Postgres says when a plan no longer fits.
#[track_caller]
pub(crate) fn expect_replanning(error: sqlx::Error) {
    let error = format!("{:?}", Error::from(error));
    let said = "cached plan must not change result type";
    assert!(error.contains(said), "{error}");
}

/// The process of Postgres that serves the pool's next statement.
pub(crate) async fn backend(db: &Db) -> i32 {
    let asked = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(db);
    asked.await.unwrap()
}

/// Has three connections open at once, and answers who serves them.
pub(crate) async fn three_backends(db: &Db) -> [i32; 3] {
    let mut held = [
        db.acquire().await.unwrap(),
        db.acquire().await.unwrap(),
        db.acquire().await.unwrap(),
    ];
    let mut backends = [0; 3];
    for (backend, connection) in backends.iter_mut().zip(&mut held) {
        let asked = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut **connection);
        *backend = asked.await.unwrap();
    }
    backends
}
