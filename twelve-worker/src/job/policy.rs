//! How a kind of job is run: its queue, its attempts, and the pauses between them.

use std::{borrow::Cow, time::Duration};

use super::{backoff::Backoff, label, priority::Priority, retention::Keep, unique::Unique};

/// The most attempts at a job: with the longest pauses, that is four days.
const MAX_ATTEMPTS: u32 = 100;

/// The longest time for which ended jobs are kept.
const MAX_KEEP_FOR: Duration = Duration::from_hours(365 * 24);

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
#[derive(Clone, Debug)]
pub struct Policy {
    queue: Cow<'static, str>,
    priority: Priority,
    unique: Option<Unique>,
    attempts: u32,
    timeout: Duration,
    is_blocking: bool,
    backoff: Backoff,
    keep: Keep,
    keep_for: Duration,
}

impl Policy {
    /// Queue `default`, normal priority, 16 attempts of at most 60 s each, pauses that double from 1 s to 1 h, a summary that is kept for a day.
    ///
    /// Sixteen attempts with those pauses take about three hours: a job outlives the outage of a provider, and a mistake is still seen on the day it was made.
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: Cow::Borrowed("default"),
            priority: Priority::Normal,
            unique: None,
            attempts: 16,
            timeout: Duration::from_mins(1),
            is_blocking: false,
            backoff: Backoff::DEFAULT,
            keep: Keep::Summary,
            keep_for: Duration::from_hours(24),
        }
    }

    /// The queue in which such jobs wait.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<Cow<'static, str>>) -> Self {
        self.queue = queue.into();
        self
    }

    /// How urgent such jobs are among those that wait in their queue.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Which of such jobs are the same, so that one of them runs.
    ///
    /// ```
    /// # use twelve_worker::{Policy, Unique};
    /// let one_at_a_time = Policy::new().unique(Unique::key("nightly"));
    /// let one_per_order = Policy::new().unique(Unique::fields(["order"]));
    /// ```
    #[must_use]
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// How many attempts may fail before the job has failed: 1 to 100, which the wiring check enforces.
    ///
    /// An attempt that failed because a backing service was unavailable ([`Error::is_unavailable`](twelve_core::Error::is_unavailable)) is deferred, and spends none.
    /// So is one that found no free connection in time.
    /// An attempt is deferred at most ten times in a row, for about three minutes in all; then it counts as failed.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long one attempt may take: longer than zero, which the wiring check enforces.
    ///
    /// A handler is stopped at an `await`, so one that blocks its thread is stopped only after that.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The handler computes, or blocks its thread: it runs on the process's threads for blocking work.
    ///
    /// There are `TWELVE_BLOCKING_THREADS` of them, by default one for each core, which [`Blocking`](twelve_core::Blocking) uses too.
    /// So other jobs, timers and the heartbeat go on meanwhile.
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.is_blocking = true;
        self
    }

    /// The pause after the first failed attempt; it doubles with every further one.
    ///
    /// Jitter: each pause is drawn from the upper half of its range, so that jobs which failed together run again at different times.
    /// Of `backoff`, [`fixed_backoff`](Self::fixed_backoff) and [`backoff_with`](Self::backoff_with) the last call counts.
    #[must_use]
    pub fn backoff(mut self, first: Duration) -> Self {
        let longest = self.backoff.longest();
        self.backoff = Backoff::Doubling { first, longest };
        self
    }

    /// The longest of the pauses that double; the other two ignore it.
    #[must_use]
    pub fn max_backoff(mut self, longest: Duration) -> Self {
        if let Backoff::Doubling { first, .. } = self.backoff {
            self.backoff = Backoff::Doubling { first, longest };
        }
        self
    }

    /// The same pause after every failed attempt, to the millisecond.
    #[must_use]
    pub fn fixed_backoff(mut self, pause: Duration) -> Self {
        self.backoff = Backoff::Fixed(pause);
        self
    }

    /// A function of yours says how long to pause: it is given the number of the attempt that failed, from 1.
    ///
    /// Its result is used without jitter, up to a year.
    /// When it panics, the default backoff is used.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use twelve_worker::Policy;
    /// fn patiently(failed: u32) -> Duration {
    ///     match failed {
    ///         1..=3 => Duration::from_secs(1),
    ///         _ => Duration::from_mins(10),
    ///     }
    /// }
    ///
    /// let policy = Policy::new().backoff_with(patiently);
    /// ```
    #[must_use]
    pub fn backoff_with(mut self, pause_after: fn(u32) -> Duration) -> Self {
        self.backoff = Backoff::Function(pause_after);
        self
    }

    /// What is kept of a job that is done: by default a [summary](Keep::Summary).
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// How long a job is kept after it is done, was discarded or was cancelled: by default a day, at most a year.
    ///
    /// A failed job is kept until somebody acts on it. One that had not started when it was discarded or cancelled by hand is kept for a day, whatever its kind says.
    #[must_use]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.keep_for = time;
        self
    }

    /// The queue's name.
    #[must_use]
    pub fn queue_name(&self) -> &str {
        &self.queue
    }

    pub(crate) fn into_queue(self) -> Cow<'static, str> {
        self.queue
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

    /// How urgent such jobs are.
    #[must_use]
    pub fn default_priority(&self) -> Priority {
        self.priority
    }

    /// Which of them are the same.
    #[must_use]
    pub fn uniqueness(&self) -> Option<&Unique> {
        self.unique.as_ref()
    }

    /// Does the handler run on a thread for blocking work?
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    /// What is kept of a job that is done.
    #[must_use]
    pub fn what_is_kept(&self) -> Keep {
        self.keep
    }

    /// How long a job is kept after it is done, was discarded or was cancelled.
    #[must_use]
    pub fn kept_for(&self) -> Duration {
        self.keep_for
    }

    /// Checks the policy; `derive(Job)` refuses the same at compile time.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn check(&self) -> Result<(), String> {
        label::check(&self.queue).map_err(|problem| format!("the queue {problem}"))?;
        check_attempts(self.attempts)?;
        if self.timeout.is_zero() {
            return Err("`timeout` is zero: every attempt would fail".to_owned());
        }
        if self.keep_for.is_zero() || self.keep_for > MAX_KEEP_FOR {
            return Err("`keep_for` is more than no time, and at most 365 days".to_owned());
        }
        self.unique.as_ref().map_or(Ok(()), Unique::check)
    }

    /// The pause after the failure number `failures`, counted from 1.
    pub(crate) fn pause_after(&self, failures: u32) -> Duration {
        self.backoff.pause_after(failures)
    }
}

/// # Errors
///
/// What is wrong, in lower case and without a full stop.
pub(crate) fn check_attempts(attempts: u32) -> Result<(), String> {
    if (1..=MAX_ATTEMPTS).contains(&attempts) {
        return Ok(());
    }
    Err(format!("`attempts` is a number from 1 to {MAX_ATTEMPTS}"))
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
    fn the_last_backoff_holds() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let fixed = Policy::new().backoff(hour).fixed_backoff(second);
        assert_eq!(fixed.pause_after(9), second);
        let function = fixed.clone().backoff_with(|_| Duration::ZERO);
        assert_eq!(function.pause_after(9), Duration::ZERO);
        assert_eq!(fixed.clone().max_backoff(hour).pause_after(9), second);
        assert!(fixed.backoff(second).pause_after(90) >= hour / 2);
    }

    #[test]
    fn the_longest_pause_may_be_said_first() {
        let minute = Duration::from_mins(1);
        let policy = Policy::new().max_backoff(minute).backoff(minute * 2);
        assert!(policy.pause_after(1) <= minute);
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
            Policy::new().keep_for(Duration::ZERO),
            Policy::new().keep_for(Duration::MAX),
            Policy::new().unique(Unique::key("")),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
