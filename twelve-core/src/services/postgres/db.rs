//! `Db`: Postgres for statements outside a transaction.

use sqlx::{PgConnection, postgres::PgConnectOptions};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

use super::{
    checked_out::CheckedOut,
    connection::{DbConnection, DbTransaction},
    pool::{Pool, refused},
    settings::{NOT_CONFIGURED, Settings},
    target::Target,
};
use crate::{
    error::Error,
    handler::{Context, FromContext, Needs, Run, extractable},
};

/// How long one statement of a handler's may take unless `TWELVE_DATABASE_TIMEOUT` says otherwise.
///
/// A server that has gone silent must not hold a handler for ever.
const STATEMENT: Duration = Duration::from_secs(10);

/// Connections that transactions must leave free, so that `Db` beside a `Tx` always finds one.
const KEPT_FOR_STATEMENTS: u32 = 2;

/// Postgres, for statements outside a transaction.
///
/// `&Db` is an sqlx executor: `sqlx::query("…").fetch_all(&db)`.
/// A connection is opened on the first statement, not before.
/// A statement may take 10 s to its last row, or what `TWELVE_DATABASE_TIMEOUT` says: then Postgres ends it, and it has had no effect.
/// A longer one runs on a connection of its own, from [`acquire`](Self::acquire).
/// While Postgres is down, statements fail at once with an error that names the cause; they work again within half a second of its return.
///
/// An outdated connection is closed, and with it all that were opened before: its server has become a standby, or it knows a table or a type as it was before a migration.
/// A statement that fails for that reason is run again on another connection, since it has not taken effect.
///
/// Code that needs a pool of sqlx's own builds one from [`options`](Self::options), as a resource.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: Pool,
    transactions: Arc<Semaphore>,
    /// Postgres itself, when the others are connections to a pooler.
    direct: Option<Target>,
}

impl Db {
    /// A pool for these options that opens nothing yet. It holds at most `size` connections.
    #[must_use]
    pub fn new(options: PgConnectOptions, size: u32) -> Self {
        Self::with(Target::new(vec![options]), None, size, STATEMENT)
    }

    /// Another pool for the same database, which holds at most `size` connections.
    #[must_use]
    pub fn sibling(&self, size: u32) -> Self {
        let target = self.0.pool.target().clone();
        Self::with(target, self.0.direct.clone(), size, self.0.pool.limit())
    }

    /// A pool that connects to Postgres without a pooler between: for LISTEN, locks, and all that belongs to a session.
    ///
    /// It is for the same database, at `TWELVE_DATABASE_DIRECT_URL` when that is set.
    #[must_use]
    pub fn direct(&self) -> Self {
        match &self.0.direct {
            Some(direct) => Self::with(direct.clone(), None, 1, self.0.pool.limit()),
            None => self.clone(),
        }
    }

    fn with(target: Target, direct: Option<Target>, size: u32, limit: Duration) -> Self {
        let transactions = size.saturating_sub(KEPT_FOR_STATEMENTS).max(1) as usize;
        Self(Arc::new(Inner {
            pool: Pool::new(target, size, limit),
            transactions: Arc::new(Semaphore::new(transactions)),
            direct,
        }))
    }

    fn of(context: &Context) -> Result<Self, Error> {
        let settings: Settings = context.environment().load(NOT_CONFIGURED)?;
        let identity = context.identity();
        let name = format!("{}/{}", identity.app, identity.process_type);
        Ok(Self::with(
            settings.url.into_target().named(&name),
            settings.direct.map(|url| url.into_target().named(&name)),
            settings.size,
            settings.statement_timeout,
        ))
    }

    /// A connection of the pool, for statements that must share one, or take long.
    ///
    /// What is asked of it directly, as in `execute(&mut *connection)` on its [`PgConnection`], has no deadline.
    /// A transaction that is still open when it is dropped is undone.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause when Postgres cannot be reached, or every connection was busy for 2 s.
    pub async fn acquire(&self) -> Result<DbConnection, Error> {
        let mut connection = self.check_out().await?.for_its_owner();
        connection.unlimit().await?;
        Ok(DbConnection::new(connection))
    }

    /// A transaction of one's own, where there is no [`Tx`](super::Tx): it is rolled back unless [`commit`](DbTransaction::commit) is called.
    ///
    /// # Errors
    ///
    /// Those of [`acquire`](Self::acquire).
    pub async fn begin(&self) -> Result<DbTransaction, Error> {
        Ok(DbTransaction::new(self.check_out_and_begin().await?))
    }

    /// A connection beside the pool's, without a deadline, and the options that it was opened with: those of one host, if the URL names several.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] with the cause.
    pub async fn connect(&self) -> Result<(PgConnection, &PgConnectOptions), Error> {
        let opened = self.0.pool.target().open(None).await.map_err(refused)?;
        Ok((opened.connection, opened.options))
    }

    /// Closes the pool: waits for connections in use, and hands out no more.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }

    /// How many connections the pool may hold.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.0.pool.size()
    }

    /// How a connection of its own is opened, outside the pool: to the first host, if the URL names several.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        self.0.pool.target().first()
    }

    pub(super) async fn check_out(&self) -> Result<CheckedOut, Error> {
        CheckedOut::acquire(&self.0.pool).await
    }

    /// A connection with a transaction on it. When it is lost during BEGIN, nothing was lost, and another one is used.
    pub(super) async fn check_out_and_begin(&self) -> Result<CheckedOut, Error> {
        let mut connection = self.check_out().await?;
        if let Err(error) = connection.begin().await {
            if !connection.is_lost() {
                return Err(error.into());
            }
            drop(connection);
            connection = self.check_out().await?;
            connection.begin().await?;
        }
        Ok(connection)
    }

    /// Limits how many transactions are open at once.
    pub(super) fn transactions(&self) -> &Arc<Semaphore> {
        &self.0.transactions
    }
}

impl Context {
    /// Postgres; opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `DATABASE_URL` is missing or wrong.
    pub fn db(&self) -> Result<Db, Error> {
        let db = self.singleton(|| {
            let db = Db::of(self)?;
            let closing = db.clone();
            self.on_close(async move { closing.close().await });
            Ok(db)
        })?;
        Ok(Db::clone(&db))
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("size", &self.size())
            .finish_non_exhaustive()
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
