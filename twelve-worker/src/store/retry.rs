//! How the engine retries while the store fails: exponential backoff with jitter, and one log line instead of many.

use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use twelve_core::{Error, chain};

/// The pause after the first failure.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause. Work must go on within two seconds of the store's return.
const LONGEST: Duration = Duration::from_secs(1);

/// How often a failure that persists is logged again.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// How long the engine waits for one answer of the store.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Awaits an answer of the store. A timeout is an error that [`Error::is_unavailable`] accepts.
pub(crate) async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!(
            "the store did not answer within {limit:?}"
        )))
    })
}

/// Exponential backoff over consecutive failures.
#[derive(Debug, Default)]
pub(crate) struct RetryBackoff {
    pause: Option<Duration>,
    logged: Option<Instant>,
}

impl RetryBackoff {
    /// Pauses, longer with each failure. Jitter keeps workers from retrying at the same moment.
    pub(crate) async fn pause(&mut self, doing: &str, error: &Error) {
        self.log(doing, error);
        sleep(self.next_pause()).await;
    }

    /// A try succeeded: the next failure pauses for the shortest time again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.pause = Some(pause);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Logs a failure. The pool reports an outage once for the whole process, so an outage is only a debug line here; other errors are logged every 30 s.
    pub(crate) fn log(&mut self, doing: &str, error: &Error) {
        let error_chain = chain(error);
        if error.is_unavailable() {
            tracing::debug!(error = error_chain, "{doing} has to wait");
        } else if self.logged.is_none_or(|at| at.elapsed() >= REMIND_EVERY) {
            self.logged = Some(Instant::now());
            tracing::error!(error = error_chain, "{doing} failed; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_but_not_beyond_a_second() {
        let mut backoff = RetryBackoff::default();
        let pauses: Vec<_> = (0..10).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= FIRST);
        assert!(pauses[9] >= LONGEST / 2 && pauses[9] <= LONGEST);
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }
}
