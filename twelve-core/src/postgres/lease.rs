//! A connection on loan from the pool, which only goes back when it has nothing left to say.

use futures_util::stream::{BoxStream, TryStreamExt};
use sqlx::{Execute, Executor, PgConnection, Postgres, pool::PoolConnection};
use std::time::Duration;
use tokio::time::timeout;

use super::{Db, executor::Step};
use crate::Error;

/// A connection on loan.
///
/// It knows whether an answer is still to come: a statement was cut off by its deadline, or by a handler that was dropped.
/// sqlx would wait for that answer before the connection is free again, for ever if the server is silent.
/// Such a connection is closed instead, and its place in the pool is free at once.
pub(super) struct Lease {
    db: Db,
    connection: Option<PoolConnection<Postgres>>,
    waiting: bool,
}

impl Lease {
    pub(super) fn new(db: Db, connection: PoolConnection<Postgres>) -> Self {
        Self {
            db,
            connection: Some(connection),
            waiting: false,
        }
    }

    /// The connection, for statements whose end this lease does not learn of.
    ///
    /// # Errors
    ///
    /// Never before the lease is dropped; the signature spares everyone a panic.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.waiting = true;
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }

    /// Awaits what is asked of the connection, up to the deadline for one statement.
    pub(super) async fn ask<'c, T, F>(
        &'c mut self,
        question: impl FnOnce(&'c mut PgConnection) -> F,
    ) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        self.waiting = true;
        let connection = self
            .connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)?;
        let answer = within(self.db.patience(), question(connection)).await;
        self.waiting = is_owed(&self.db, &answer);
        answer
    }

    /// Streams the answers to a statement, each up to the deadline for one.
    pub(super) fn stream<'e, 'q: 'e, E>(&'e mut self, query: E) -> BoxStream<'e, Step>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async_stream::try_stream! {
            let patience = self.db.patience();
            let mut steps = self.connection()?.fetch_many(query);
            let end = loop {
                match within(patience, steps.try_next()).await {
                    Ok(Some(step)) => yield step,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(steps);
            self.waiting = is_owed(&self.db, &end);
            end?;
        })
    }

    /// The connection is in no state to be used again.
    pub(super) fn give_up(&mut self) {
        self.waiting = true;
    }

    /// Is an answer still to come?
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }
}

/// Is an answer still to come after this? An error of Postgres' own is an answer too.
fn is_owed<T>(db: &Db, answer: &Result<T, sqlx::Error>) -> bool {
    let Err(error) = answer else { return false };
    db.note(error);
    error.as_database_error().is_none()
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.waiting
            && let Some(connection) = self.connection.take()
        {
            drop(connection.detach());
        }
    }
}

/// Awaits an answer of Postgres', but not for ever.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("Postgres has not answered for {limit:?} (TWELVE_DATABASE_TIMEOUT)");
        Err(Error::unavailable(message).into())
    })
}
