//! `Tx`: the unit of work of one run of a handler.
//!
//! ```text
//! TxCell (owned by the runner) ── Tx::of ──► Tx (owned by the handler)
//!        ▲                                    │ first use: BEGIN
//!        └────────────── drop ────────────────┘
//!        └──► commit or rollback, after the handler has returned
//! ```
//!
//! The handler owns the transaction while it runs, the runner before and after.
//! So only the runner can commit, and it does so knowing what the handler returned.

use sqlx::PgConnection;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::timeout;

use super::{
    Db,
    checked_out::CheckedOut,
    tx_cell::{Open, State, TxCell},
};
use crate::{
    error::Error,
    handler::{Argument, FromContext, Needs, Run, UnitOfWork, extractable},
};

/// How long a transaction waits while as many as allowed are open.
const TURN: Duration = Duration::from_secs(2);

/// The transaction of this run: it takes its connection on first use.
///
/// It commits when the handler returned `Ok` (and, for a request, a status below 400), else it rolls back.
/// A request's commit comes before the first byte of its response, a job's together with its completion.
/// `&mut Tx` is an sqlx executor: `sqlx::query("…").execute(&mut tx)`.
pub struct Tx {
    db: Db,
    open: Option<Open>,
    cell: TxCell,
}

impl Tx {
    /// The transaction that waits in this cell.
    ///
    /// # Errors
    ///
    /// Another `Tx` has taken it out: a handler takes at most one.
    pub fn of(cell: &TxCell, db: Db) -> Result<Self, Error> {
        match std::mem::replace(&mut *cell.lock(), State::InUse) {
            State::Free(open) => Ok(Self {
                db,
                open,
                cell: cell.clone(),
            }),
            State::InUse => Err(Error::internal(
                "this run's `Tx` is taken already: a handler takes at most one",
            )),
        }
    }

    /// The connection with the transaction open on it; statements on it have no deadline, until the transaction ends.
    /// A ROLLBACK TO an older savepoint brings the deadline back; asking for the connection again lifts it.
    ///
    /// # Errors
    ///
    /// Postgres cannot be reached, or too many transactions were open for 2 s.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        let checked_out = self.checked_out().await?;
        checked_out.unlimit().await?;
        Ok(checked_out.raw()?)
    }

    /// The same for statements that Postgres ends after `TWELVE_DATABASE_TIMEOUT`.
    ///
    /// # Errors
    ///
    /// Those of [`connection`](Self::connection).
    #[doc(hidden)]
    pub async fn limited_connection(&mut self) -> Result<&mut PgConnection, Error> {
        Ok(self.checked_out().await?.raw()?)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.open.is_some()
    }

    /// Rolls back, so that the next statement begins anew on another connection.
    pub(super) fn abandon(&mut self) {
        self.open = None;
    }

    pub(super) async fn checked_out(&mut self) -> Result<&mut CheckedOut, Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin().await?,
        };
        Ok(&mut self.open.insert(open).connection)
    }

    async fn begin(&self) -> Result<Open, Error> {
        let turn = Arc::clone(self.db.transactions()).acquire_owned();
        let permit = timeout(TURN, turn)
            .await
            .map_err(|_| {
                Error::unavailable(
                    "as many transactions as TWELVE_DATABASE_POOL allows were open for 2 s",
                )
            })?
            .map_err(|closed| Error::unavailable("the process is closing").with_source(closed))?;
        Ok(Open {
            connection: self.db.check_out_and_begin().await?.with_permit(permit),
            after_commit: Vec::new(),
        })
    }

    /// Does something once the transaction has committed; nothing, if it does not.
    ///
    /// The transaction must have begun: without a write there is nothing to wait for, and `action` runs at once.
    pub fn after_commit(&mut self, action: impl FnOnce() + Send + Sync + 'static) {
        match &mut self.open {
            Some(open) => open.after_commit.push(Box::new(action)),
            None => action(),
        }
    }

    /// Drops the actions of [`after_commit`](Self::after_commit): a rollback to a savepoint has undone their writes.
    pub fn forget_after_commit(&mut self) {
        if let Some(open) = &mut self.open {
            open.after_commit.clear();
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        *self.cell.lock() = State::Free(self.open.take());
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("begun", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

impl<K: UnitOfWork> FromContext<K> for Tx {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.tx_cell(), run.context().db()?)
    }
}

extractable!(impl for Tx);

/// Two transactions in one handler would be two commits: the wiring check refuses that.
#[must_use]
pub fn takes_two_transactions(needs: &Needs) -> bool {
    needs
        .iter()
        .filter(|argument| *argument == Argument::of::<Tx>())
        .count()
        > 1
}
