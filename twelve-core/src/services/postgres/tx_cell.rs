//! The transaction of one run, before and after the handler uses it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::checked_out::CheckedOut;
use crate::error::Error;

/// Holds the transaction of one run: the handler's `Tx` takes it out and puts it back, the runner commits it.
#[derive(Clone, Default)]
pub struct TxCell(Arc<Mutex<State>>);

pub(super) enum State {
    Free(Option<Open>),
    InUse,
}

impl Default for State {
    fn default() -> Self {
        Self::Free(None)
    }
}

impl TxCell {
    /// Commits what the handler did; does nothing when it used no transaction.
    ///
    /// # Errors
    ///
    /// A statement of the handler's had failed, Postgres refused the commit, or a `Tx` has outlived its handler: then nothing was committed.
    /// A connection lost during the commit leaves open whether it took effect.
    pub async fn commit(&self) -> Result<(), Error> {
        let Some(mut open) = self.take()? else {
            return Ok(());
        };
        open.connection.expect_success().await?;
        Self::finish(open).await
    }

    /// Commits without asking first: the caller's own last statement has just succeeded.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit).
    pub async fn commit_after_success(&self) -> Result<(), Error> {
        match self.take()? {
            Some(open) => Self::finish(open).await,
            None => Ok(()),
        }
    }

    async fn finish(mut open: Open) -> Result<(), Error> {
        open.connection.commit().await.map_err(|error| {
            Error::from(error).context("the transaction could not be committed")
        })?;
        for action in std::mem::take(&mut open.after_commit) {
            action();
        }
        Ok(())
    }

    /// Undoes what the handler did, and waits for that for a second.
    pub async fn rollback(&self) {
        if let Ok(Some(mut open)) = self.take() {
            open.connection.undo().await;
        }
    }

    /// Has the run begun a transaction?
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&*self.lock(), State::Free(Some(_)))
    }

    fn take(&self) -> Result<Option<Open>, Error> {
        match &mut *self.lock() {
            State::Free(open) => Ok(open.take()),
            State::InUse => Err(Error::internal(
                "a `Tx` has outlived its handler: nothing was committed",
            )),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TxCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.lock() {
            State::Free(None) => "empty",
            State::Free(Some(_)) => "open",
            State::InUse => "in use",
        };
        f.debug_tuple("TxCell").field(&state).finish()
    }
}

/// A transaction that has begun.
pub(super) struct Open {
    pub(super) connection: CheckedOut,
    pub(super) after_commit: Vec<Box<dyn FnOnce() + Send + Sync>>,
}
