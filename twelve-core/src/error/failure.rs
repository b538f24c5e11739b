//! [`Failure`]: what a handler failed with.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use super::{Error, carried, chain, chain::causes};
use crate::services::postgres::is_outage;

/// What a handler failed with: any error converts into it, so `?` just works.
///
/// It deliberately does not implement [`std::error::Error`]: only so can every error convert into it.
pub struct Failure {
    error: Box<dyn StdError + Send + Sync>,
    asked_pause: Option<Duration>,
}

/// The result of a handler: `?` takes any error.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that is only a sentence.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(message.into().into())
    }

    fn of(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self {
            error,
            asked_pause: None,
        }
    }

    /// Says how long a job waits for its next attempt, in place of its kind's backoff.
    ///
    /// It is for a provider that answers when it wants to be asked again.
    /// The attempt has failed all the same: it is spent, and what it did in its `Tx` is undone.
    /// Only the handlers of jobs are run again; elsewhere it has no effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use twelve_core::{Failure, Result};
    ///
    /// # struct Answer { status: u16, retry_after_s: u64 }
    /// # async fn ask_for_payment() -> std::io::Result<Answer> {
    /// #     Ok(Answer { status: 429, retry_after_s: 30 })
    /// # }
    /// async fn charge() -> Result<()> {
    ///     let answer = ask_for_payment()
    ///         .await
    ///         .map_err(|error| Failure::from(error).retry_after(Duration::from_mins(5)))?;
    ///     if answer.status == 429 {
    ///         let pause = Duration::from_secs(answer.retry_after_s);
    ///         return Err(Failure::new("the provider is busy").retry_after(pause));
    ///     }
    ///     Ok(())
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # let failure = runtime.block_on(charge()).unwrap_err();
    /// # assert_eq!(failure.asked_pause(), Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.asked_pause = Some(pause);
        self
    }

    /// The pause that [`retry_after`](Self::retry_after) asked for.
    #[must_use]
    pub fn asked_pause(&self) -> Option<Duration> {
        self.asked_pause
    }

    /// The error itself.
    #[must_use]
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// Finds an error of type `E` anywhere in the chain.
    #[must_use]
    pub fn find<E: StdError + 'static>(&self) -> Option<&E> {
        causes(&*self.error).find_map(|cause| cause.downcast_ref())
    }

    /// The library's own error in the chain, if that is what the handler failed with.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.find()
            .or_else(|| self.find::<sqlx::Error>().and_then(carried))
    }

    /// Is a backing service down, silent or too busy?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self.error() {
            Some(error) => error.is_unavailable(),
            None => self.find::<sqlx::Error>().is_some_and(is_outage) || self.is_redis_out(),
        }
    }

    /// What a command on Redis fails with is redis-rs' own error, not one of ours.
    fn is_redis_out(&self) -> bool {
        #[cfg(feature = "redis")]
        {
            let error = self.find::<redis::RedisError>();
            error.is_some_and(crate::services::redis::is_unavailable)
        }
        #[cfg(not(feature = "redis"))]
        false
    }

    /// The failure as an error of the library: a mistake stays as it is, anything else becomes the cause of `message`.
    #[must_use]
    pub fn into_error(self, message: impl Into<Cow<'static, str>>) -> Error {
        match self.error() {
            Some(error) if error.is_configuration() || error.is_usage() => error.clone(),
            _ if self.is_unavailable() => Error::unavailable(message).with_source(self.error),
            _ => Error::internal(message).with_source(self.error),
        }
    }
}

impl<E> From<E> for Failure
where
    E: StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self::of(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.error))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_knows_an_outage_from_a_mistake() {
        assert!(Failure::from(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!Failure::from(sqlx::Error::RowNotFound).is_unavailable());
        assert!(Failure::from(Error::unavailable("Redis is unavailable")).is_unavailable());
    }

    #[test]
    fn a_failure_that_passes_through_handlers_keeps_the_pause_it_asked_for() {
        let pause = Duration::from_secs(30);
        let inner = || -> Result<()> { Err(Failure::new("busy").retry_after(pause)) };
        let outer = || -> Result<()> {
            inner()?;
            Ok(())
        };
        assert_eq!(outer().unwrap_err().asked_pause(), Some(pause));
        assert_eq!(Failure::new("broken").asked_pause(), None);
    }
}
