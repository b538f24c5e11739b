//! The pool: nothing is opened before the first use, and an outage is one quick, clear answer.

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use url::Url;

use super::{
    lease::{Lease, within},
    outage::Outage,
};
use crate::{
    Config, Context, Error, FromContext, Needs, Reader, Run, Value, error::is_outage,
    run::extractable,
};

const NOT_CONFIGURED: &str = "Postgres is not configured";

/// How long a handler waits for a connection, connecting included.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How long one statement of a handler's may take unless `TWELVE_DATABASE_TIMEOUT` says otherwise.
///
/// A server that has gone silent must not hold a handler for ever.
const STATEMENT: Duration = Duration::from_secs(10);

/// How long the test of an idle connection may take.
const TEST: Duration = Duration::from_millis(500);

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
/// A statement, or the next row of a stream, may take 10 s, or what `TWELVE_DATABASE_TIMEOUT` says; a connection of [`acquire`](Self::acquire) has no such limit.
/// While Postgres is down, statements fail at once with an error that names the cause; they work again within half a second of its return.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: PgPool,
    transactions: Arc<Semaphore>,
    outage: Outage,
    suspicion: Arc<Suspicion>,
    patience: Duration,
    /// Postgres itself, when the others are connections to a pooler.
    direct: Option<PgConnectOptions>,
}

/// When a connection was last found dead: its siblings that have been idle since before are tested.
#[derive(Default)]
struct Suspicion(Mutex<Option<Instant>>);

impl Suspicion {
    fn raise(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn concerns(&self, idle_for: Duration) -> bool {
        let raised = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        raised.is_some_and(|raised| raised.elapsed() <= idle_for)
    }
}

impl Db {
    /// A pool for these options that opens nothing yet. It holds at most `size` connections.
    #[must_use]
    pub fn new(options: PgConnectOptions, size: u32) -> Self {
        Self::with(options, None, size, STATEMENT)
    }

    /// Another pool for the same database, which holds at most `size` connections.
    #[must_use]
    pub fn sibling(&self, size: u32) -> Self {
        let direct = self.0.direct.clone();
        Self::with(self.options().clone(), direct, size, self.patience())
    }

    /// A pool that no pooler stands before: for what belongs to a session, such as LISTEN and locks.
    ///
    /// It is for the same database, at `TWELVE_DATABASE_DIRECT_URL` when that is set.
    #[must_use]
    pub fn direct(&self) -> Self {
        match &self.0.direct {
            Some(direct) => Self::with(direct.clone(), None, 1, self.patience()),
            None => self.clone(),
        }
    }

    fn with(
        options: PgConnectOptions,
        direct: Option<PgConnectOptions>,
        size: u32,
        patience: Duration,
    ) -> Self {
        let options = options.disable_statement_logging();
        let suspicion = Arc::new(Suspicion::default());
        let suspected = Arc::clone(&suspicion);
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(move |connection, idle| {
                let idle_for = idle.idle_for;
                let trusted = idle_for < TEST_AFTER_IDLE && !suspected.concerns(idle_for);
                Box::pin(async move {
                    if trusted {
                        return Ok(true);
                    }
                    // An error closes the connection without a word, which a silent server could delay.
                    within(TEST, connection.ping()).await.map(|()| true)
                })
            })
            .connect_lazy_with(options.clone());
        let transactions = size.saturating_sub(KEPT_FOR_STATEMENTS).max(1) as usize;
        Self(Arc::new(Inner {
            pool,
            transactions: Arc::new(Semaphore::new(transactions)),
            outage: Outage::new(options),
            suspicion,
            patience,
            direct: direct.map(ConnectOptions::disable_statement_logging),
        }))
    }

    pub(crate) fn lazy(context: &Context) -> Result<Self, Error> {
        let settings: Settings = context.environment().load(NOT_CONFIGURED)?;
        let identity = context.identity();
        let name = format!("{}/{}", identity.app, identity.process_type);
        let named = |url: PostgresUrl| url.0.application_name(&name);
        Ok(Self::with(
            named(settings.options),
            settings.direct.map(named),
            settings.size,
            settings.patience,
        ))
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
            Err(error) => {
                self.0.suspicion.raise();
                Err(self.0.outage.explain(error, &self.0.pool).await)
            }
        }
    }

    /// A connection that is closed rather than returned while an answer is to come.
    pub(super) async fn lease(&self) -> Result<Lease, Error> {
        Ok(Lease::new(self.clone(), self.acquire().await?))
    }

    /// Hears what a statement failed with: one dead connection makes the others suspect.
    pub(super) fn note(&self, error: &sqlx::Error) {
        if is_outage(error) {
            self.0.suspicion.raise();
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

    /// How long one statement may take.
    pub(super) fn patience(&self) -> Duration {
        self.0.patience
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
    direct: Option<PostgresUrl>,
    size: u32,
    patience: Duration,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let options = reader.read("DATABASE_URL", None, "Postgres");
        let direct = reader.read(
            "TWELVE_DATABASE_DIRECT_URL",
            None,
            "Postgres itself, when DATABASE_URL is a pooler such as PgBouncer: for LISTEN and for `release`",
        );
        let size = reader.read(
            "TWELVE_DATABASE_POOL",
            Some("10"),
            "connections to Postgres that one process may open",
        );
        let patience = reader.read(
            "TWELVE_DATABASE_TIMEOUT",
            Some("10s"),
            "how long one statement of a handler's may take",
        );
        let (options, direct) = (options?, direct?);
        let (size, patience): (_, Duration) = (size?, patience?);
        if patience.is_zero() {
            reader.reject(
                "TWELVE_DATABASE_TIMEOUT",
                "too short: no statement could end",
            );
            return None;
        }
        if size < 3 {
            reader.reject(
                "TWELVE_DATABASE_POOL",
                "too small: a handler may use two connections, and a job engine one",
            );
            return None;
        }
        Some(Self {
            options,
            direct,
            size,
            patience,
        })
    }
}

#[derive(Debug)]
struct PostgresUrl(PgConnectOptions);

impl Value for PostgresUrl {
    const EXPECTED: &'static str = "a URL such as postgres://user:password@localhost:5432/shop";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.cannot_be_a_base() {
            return Err("it does not begin with postgres://".into());
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
