//! A connection of one's own, and a transaction of one's own.

use sqlx::PgConnection;
use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use super::checked_out::CheckedOut;
use crate::error::Error;

/// Only the connection of a transaction is ever discarded before it is dropped.
const HELD: &str = "a connection without a transaction is held until it is dropped";

/// A connection of the pool, to which it goes back when this is dropped.
///
/// `&mut DbConnection` is an sqlx executor with the deadline of [`Db`](super::Db)'s statements.
/// What is asked of the [`PgConnection`] itself, to which it dereferences, has no deadline, and an error of it is not heard: a connection that knows an older schema stays in the pool.
pub struct DbConnection(CheckedOut);

impl DbConnection {
    pub(super) fn new(checked_out: CheckedOut) -> Self {
        Self(checked_out)
    }

    pub(super) fn checked_out(&mut self) -> &mut CheckedOut {
        &mut self.0
    }
}

impl Deref for DbConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.peek().expect(HELD)
    }
}

impl DerefMut for DbConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.raw_anyway().expect(HELD)
    }
}

impl fmt::Debug for DbConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbConnection").finish_non_exhaustive()
    }
}

/// A transaction of its owner's, from [`Db::begin`](super::Db::begin).
///
/// It is undone when it is dropped.
/// `&mut DbTransaction` is an sqlx executor with the deadline of [`Db`](super::Db)'s statements.
pub struct DbTransaction(CheckedOut);

impl DbTransaction {
    pub(super) fn new(checked_out: CheckedOut) -> Self {
        Self(checked_out)
    }

    pub(super) fn checked_out(&mut self) -> &mut CheckedOut {
        &mut self.0
    }

    /// The connection on which it is open; what is asked of it directly has no deadline, up to the transaction's end.
    /// A ROLLBACK TO an older savepoint brings the deadline back; asking for the connection again lifts it.
    ///
    /// # Errors
    ///
    /// The transaction was lost with its connection.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.0.unlimit().await?;
        Ok(self.0.raw()?)
    }

    /// The same for statements that Postgres ends after `TWELVE_DATABASE_TIMEOUT`.
    ///
    /// # Errors
    ///
    /// The transaction was lost with its connection.
    #[doc(hidden)]
    pub fn limited_connection(&mut self) -> Result<&mut PgConnection, Error> {
        Ok(self.0.raw()?)
    }

    /// Commits it.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the connection was lost: it is then unknown whether it took effect; another error when a statement had failed, or Postgres refused.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.0.expect_success().await?;
        self.0.commit().await.map_err(Error::from)
    }

    /// Undoes it, and waits for that.
    ///
    /// # Errors
    ///
    /// The connection was lost, and the transaction with it.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.0.rollback().await.map_err(Error::from)
    }
}

impl fmt::Debug for DbTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbTransaction").finish_non_exhaustive()
    }
}
