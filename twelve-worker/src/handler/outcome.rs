//! The outcome that a handler returns for its attempt.

use std::time::Duration;
use twelve_core::Failure;

/// How an attempt ended, when it did not fail.
///
/// An attempt that failed may say when to try again: [`Failure::retry_after`].
///
/// An outcome means that the handler returned `Ok`, so its `Tx` commits, together with the record of the outcome.
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Job, Outcome};
/// # #[derive(Serialize, Deserialize)] struct Charge { order: u64 }
/// # impl Job for Charge { const KIND: &'static str = "charge"; }
/// # enum Order { Paid, Cancelled, Pending, Refused }
/// # async fn find(_order: u64) -> twelve_core::Result<Order> { Ok(Order::Paid) }
/// async fn charge(job: Charge) -> twelve_core::Result<Outcome> {
///     Ok(match find(job.order).await? {
///         Order::Paid => Outcome::done(),
///         Order::Cancelled => Outcome::discard("the order was cancelled"),
///         Order::Pending => Outcome::snooze(Duration::from_mins(5)),
///         Order::Refused => Outcome::fail("the card was refused"),
///     })
/// }
/// # twelve_worker::Registry::default().job(charge);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome(pub(crate) Disposition);

/// What the handler decided to do with its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Done,
    Snooze(Duration),
    Discard(String),
    Fail(String),
}

impl Outcome {
    /// The work is done.
    #[must_use]
    pub fn done() -> Self {
        Self(Disposition::Done)
    }

    /// The job runs again after this time. No attempt is spent.
    #[must_use]
    pub fn snooze(delay: Duration) -> Self {
        Self(Disposition::Snooze(delay))
    }

    /// The work is no longer needed, so the job never runs again. The reason is recorded with it.
    #[must_use]
    pub fn discard(reason: impl Into<String>) -> Self {
        Self(Disposition::Discard(reason.into()))
    }

    /// The work has failed, and another attempt would fail too. The job has failed, with this reason as its last error.
    ///
    /// Once the cause is fixed, `jobs retry` runs it again.
    #[must_use]
    pub fn fail(reason: impl Into<String>) -> Self {
        Self(Disposition::Fail(reason.into()))
    }
}

/// What a job handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a job handler may return",
    label = "expected `()`, `Outcome` or a `Result` of one of them",
    note = "the error is any error: `twelve::Result<()>` takes all of them with `?`"
)]
pub trait IntoOutcome {
    /// The outcome.
    ///
    /// # Errors
    ///
    /// What the handler failed with.
    fn into_outcome(self) -> Result<Outcome, Failure>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<Outcome, Failure> {
        Ok(Outcome::done())
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Result<Outcome, Failure> {
        Ok(self)
    }
}

impl<T: IntoOutcome, E: Into<Failure>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Result<Outcome, Failure> {
        self.map_err(Into::into)?.into_outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_says_how_it_went() {
        assert_eq!(().into_outcome().unwrap(), Outcome::done());
        let snooze = Outcome::snooze(Duration::from_secs(1));
        let said: twelve_core::Result<Outcome> = Ok(snooze.clone());
        assert_eq!(said.into_outcome().unwrap(), snooze);
        let failed: Result<(), std::fmt::Error> = Err(std::fmt::Error);
        assert!(failed.into_outcome().is_err());
    }
}
