//! How a kind of job is run: its queue, its attempts, and the pauses between them.

use std::{borrow::Cow, time::Duration};

use crate::label;

/// The most attempts at a job: with the longest pauses, that is four days.
const MAX_ATTEMPTS: u32 = 100;

/// How jobs of one kind are run, unless one job says otherwise.
///
/// `derive(Job)` writes it from its attributes.
///
/// ```
/// # use std::time::Duration;
/// # use twelve_worker::Policy;
/// let policy = Policy::new().queue("billing").attempts(8).timeout(Duration::from_secs(30));
/// assert_eq!(policy.max_attempts(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    queue: Cow<'static, str>,
    attempts: u32,
    timeout: Duration,
    backoff: Duration,
    max_backoff: Duration,
}

impl Policy {
    /// Queue `default`, 16 attempts of at most 60 s each, pauses that double from 1 s to 1 h.
    ///
    /// Sixteen attempts with those pauses take about three hours: a job outlives the outage of a provider, and a mistake is still seen on the day it was made.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: Cow::Borrowed("default"),
            attempts: 16,
            timeout: Duration::from_mins(1),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_hours(1),
        }
    }

    /// The queue in which such jobs wait.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<Cow<'static, str>>) -> Self {
        self.queue = queue.into();
        self
    }

    /// How many attempts may fail before the job has failed: 1 to 100, as the boot checks.
    ///
    /// An attempt that failed because a backing service was unavailable ([`Error::is_unavailable`](twelve_core::Error::is_unavailable)) is put off and spends none: an outage is nobody's fault.
    /// The same holds when it waited in vain for a free connection.
    /// It is put off at most ten times in a row, for about three minutes in all; then it counts as failed.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long one attempt may take: more than nothing, as the boot checks.
    ///
    /// A handler is stopped where it awaits: one that blocks its thread is stopped when it stops blocking.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The pause after the first failed attempt; it doubles with every further one.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// The longest pause.
    #[must_use]
    pub fn max_backoff(mut self, max_backoff: Duration) -> Self {
        self.max_backoff = max_backoff;
        self
    }

    /// The queue's name.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        &self.queue
    }

    /// How many attempts there are.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn attempt_timeout(&self) -> Duration {
        self.timeout
    }

    /// What no job can be run by; `derive(Job)` refuses the same at compile time.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn check(&self) -> Result<(), String> {
        label::check(&self.queue).map_err(|problem| format!("the queue {problem}"))?;
        if !(1..=MAX_ATTEMPTS).contains(&self.attempts) {
            return Err(format!("`attempts` is a number from 1 to {MAX_ATTEMPTS}"));
        }
        if self.timeout.is_zero() {
            return Err("`timeout` is zero: every attempt would fail".to_owned());
        }
        Ok(())
    }

    /// The pause after the failure number `failures`, counted from 1.
    ///
    /// It is drawn from the upper half of its range.
    /// So jobs that failed together come back apart, and yet no pause is so short that it hammers what just failed.
    pub(crate) fn pause_after(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let longest = self.backoff.saturating_mul(doubled).min(self.max_backoff);
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest() {
        let policy = Policy::new();
        for (failures, seconds) in [(1, 1), (2, 2), (5, 16), (12, 2048), (13, 3600), (90, 3600)] {
            let longest = Duration::from_secs(seconds);
            for _ in 0..20 {
                let pause = policy.pause_after(failures);
                assert!(
                    pause <= longest && pause >= longest / 2,
                    "{failures}: {pause:?}"
                );
            }
        }
    }

    #[test]
    fn what_no_job_can_be_run_by_is_refused() {
        assert_eq!(Policy::new().attempts(1).check(), Ok(()));
        assert_eq!(Policy::new().attempts(100).check(), Ok(()));
        for wrong in [
            Policy::new().attempts(0),
            Policy::new().attempts(101),
            Policy::new().timeout(Duration::ZERO),
            Policy::new().queue("no name"),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn jobs_that_failed_together_come_back_apart() {
        let policy = Policy::new();
        assert_ne!(policy.pause_after(9), policy.pause_after(9));
    }
}
