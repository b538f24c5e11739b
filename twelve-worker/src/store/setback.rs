//! What a room does while the store fails: pause, and say so once.

use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use twelve_core::{Error, chain};

/// The first pause.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause: work goes on within two seconds of the store's return.
const LONGEST: Duration = Duration::from_secs(1);

/// How often a failure that goes on is logged again.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// How long the engine waits for one answer of the store.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Awaits an answer of the store, but not for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!(
            "the store did not answer within {limit:?}"
        )))
    })
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Setback {
    pause: Option<Duration>,
    logged: Option<Instant>,
}

impl Setback {
    /// Pauses: longer with each failure, and never in step with other workers.
    pub(crate) async fn pause(&mut self, doing: &str, error: &Error) {
        self.log(doing, error);
        sleep(self.next_pause()).await;
    }

    /// It works again.
    pub(crate) fn over(&mut self) {
        *self = Self::default();
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.pause = Some(pause);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// An outage is reported by the pool, once for the whole process; anything else is news, but not every second.
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
        let mut setback = Setback::default();
        let pauses: Vec<_> = (0..10).map(|_| setback.next_pause()).collect();
        assert!(pauses[0] <= FIRST);
        assert!(pauses[9] >= LONGEST / 2 && pauses[9] <= LONGEST);
        setback.over();
        assert!(setback.next_pause() <= FIRST);
    }
}
