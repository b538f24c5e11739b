//! The pool: nothing is opened before the first use, and an outage is one quick, clear answer.

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use url::Url;

use super::outage::Outage;
use crate::{Config, Context, Error, FromContext, Needs, Reader, Run, Value, run::extractable};

const NOT_CONFIGURED: &str = "Postgres is not configured";

/// How long a handler waits for a connection, connecting included.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long one statement of a handler's may take, each row of a stream counted alone.
///
/// A server that has gone silent must not hold a handler for ever.
const STATEMENT: Duration = Duration::from_secs(30);

/// A connection that was idle for longer is tested before it is handed out.
///
/// Testing every time would cost each statement a round trip.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(5);

/// Connections that transactions must leave free, so that `Db` beside a `Tx` always finds one.
const KEPT_FOR_STATEMENTS: u32 = 2;

/// Postgres, for statements outside a transaction.
///
/// `&Db` is an sqlx executor: `sqlx::query("…").fetch_all(&db)`.
/// A connection is opened on the first statement, not before.
/// A statement, or the next row of a stream, may take 30 s; take a connection with [`acquire`](Self::acquire) for what takes longer.
/// While Postgres is down, statements fail at once with an error that names the cause; they work again within half a second of its return.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: PgPool,
    transactions: Arc<Semaphore>,
    outage: Outage,
}

impl Db {
    /// A pool for these options that opens nothing yet. It holds at most `size` connections.
    #[must_use]
    pub fn new(options: PgConnectOptions, size: u32) -> Self {
        let options = options.disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, idle| {
                Box::pin(async move {
                    if idle.idle_for < TEST_AFTER_IDLE {
                        return Ok(true);
                    }
                    connection.ping().await.map(|()| true)
                })
            })
            .connect_lazy_with(options.clone());
        let transactions = size.saturating_sub(KEPT_FOR_STATEMENTS).max(1) as usize;
        Self(Arc::new(Inner {
            pool,
            transactions: Arc::new(Semaphore::new(transactions)),
            outage: Outage::new(options),
        }))
    }

    pub(crate) fn lazy(context: &Context) -> Result<Self, Error> {
        let Settings { options, size } = context.environment().load(NOT_CONFIGURED)?;
        let identity = context.identity();
        let name = format!("{}/{}", identity.app, identity.process_type);
        Ok(Self::new(options.0.application_name(&name), size))
    }

    /// A connection of the pool.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause when Postgres cannot be reached, or every connection was busy for 2 s.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        if let Some(error) = self.0.outage.current() {
            return Err(error);
        }
        match self.0.pool.acquire().await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(self.0.outage.explain(error).await),
        }
    }

    /// sqlx's own pool, for what needs one.
    ///
    /// Its errors do not name the cause of an outage; prefer `&Db` itself.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// How a connection of its own is opened, outside the pool.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        self.0.outage.options()
    }

    /// Limits how many transactions are open at once.
    pub(super) fn transactions(&self) -> &Arc<Semaphore> {
        &self.0.transactions
    }

    /// Awaits the answer to a statement, but not for ever.
    pub(super) async fn answer<T>(
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        timeout(STATEMENT, statement).await.unwrap_or_else(|_| {
            Err(Error::unavailable("Postgres has not answered for 30 s").into())
        })
    }

    /// How long a transaction waits for its turn.
    pub(super) const fn patience() -> Duration {
        ACQUIRE
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Db").field(&self.0.pool).finish()
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Db {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        run.context().db()
    }
}

extractable!(impl for Db);

/// What a process needs to know to reach Postgres.
#[derive(Debug)]
pub(crate) struct Settings {
    options: PostgresUrl,
    size: u32,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let options = reader.read("DATABASE_URL", None, "Postgres");
        let size = reader.read(
            "TWELVE_DATABASE_POOL",
            Some("10"),
            "connections to Postgres that one process may open",
        );
        let (options, size) = (options?, size?);
        if size < 3 {
            reader.reject(
                "TWELVE_DATABASE_POOL",
                "too small: a handler may use two connections, and a job engine one",
            );
            return None;
        }
        Some(Self { options, size })
    }
}

#[derive(Debug)]
struct PostgresUrl(PgConnectOptions);

impl Value for PostgresUrl {
    const EXPECTED: &'static str = "a URL such as postgres://user:password@localhost:5432/shop";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!("the scheme `{}` is not Postgres", url.scheme()));
        }
        PgConnectOptions::from_url(&url)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    fn show(text: &str) -> String {
        <Url as Value>::show(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;

    #[test]
    fn only_a_postgres_url_is_one() {
        assert!(PostgresUrl::parse("postgres:///shop?host=/run/postgresql").is_ok());
        assert!(PostgresUrl::parse("nonsense").is_err());
        assert!(PostgresUrl::parse("mysql://localhost/shop").is_err());
    }

    #[test]
    fn a_missing_url_is_named() {
        let loaded = Environment::default().load::<Settings>(NOT_CONFIGURED);
        let error = loaded.unwrap_err();
        assert!(crate::error::chain(&error).contains("DATABASE_URL  is not set"));
    }
}
