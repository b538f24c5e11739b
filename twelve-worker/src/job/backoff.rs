//! Backoff: the pauses between the attempts at a job.

use std::{panic::catch_unwind, time::Duration};

/// The longest pause of all kinds of backoff, so that no store overflows when it adds the pause to a date.
const MAX_PAUSE: Duration = Duration::from_hours(365 * 24);

/// The longest of the pauses that double, unless the author says otherwise.
const DEFAULT_LONGEST: Duration = Duration::from_hours(1);

/// How long to pause after a failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backoff {
    /// From `first`, doubled with each further failure up to `longest`, with jitter.
    Doubling { first: Duration, longest: Duration },
    /// Always this long.
    Fixed(Duration),
    /// As long as the author's function says.
    Function(fn(u32) -> Duration),
}

impl Backoff {
    /// From 1 s to 1 h.
    pub(crate) const DEFAULT: Self = Self::Doubling {
        first: Duration::from_secs(1),
        longest: DEFAULT_LONGEST,
    };

    /// The longest pause that it keeps when it becomes one that doubles.
    pub(crate) fn longest(self) -> Duration {
        match self {
            Self::Doubling { longest, .. } => longest,
            Self::Fixed(_) | Self::Function(_) => DEFAULT_LONGEST,
        }
    }

    /// The pause after the failure number `failures`, counted from 1.
    pub(crate) fn pause_after(self, failures: u32) -> Duration {
        let pause = match self {
            Self::Doubling { first, longest } => doubling(first, longest, failures),
            Self::Fixed(pause) => pause,
            Self::Function(pause) => called(pause, failures),
        };
        pause.min(MAX_PAUSE)
    }
}

/// Jitter: it is drawn from the upper half of its range.
/// So jobs that failed together run again at different times, and no pause is too short for the service that failed.
fn doubling(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let pause = first.saturating_mul(doubled).min(longest);
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// The engine calls it while it records the end of an attempt: a panic would leave the attempt without an end.
fn called(pause: fn(u32) -> Duration, failures: u32) -> Duration {
    catch_unwind(|| pause(failures)).unwrap_or_else(|_| {
        tracing::error!("`backoff_with` panicked: the default backoff is taken");
        Backoff::DEFAULT.pause_after(failures)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest() {
        for (failures, seconds) in [(1, 1), (2, 2), (5, 16), (12, 2048), (13, 3600), (90, 3600)] {
            let longest = Duration::from_secs(seconds);
            for _ in 0..20 {
                let pause = Backoff::DEFAULT.pause_after(failures);
                assert!(
                    pause <= longest && pause >= longest / 2,
                    "{failures}: {pause:?}"
                );
            }
        }
    }

    #[test]
    fn jobs_that_failed_together_come_back_apart() {
        let pause = || Backoff::DEFAULT.pause_after(9);
        assert_ne!(pause(), pause());
    }

    #[test]
    fn a_fixed_pause_is_always_the_same() {
        let pause = Duration::from_secs(10);
        for failures in [1, 2, 100] {
            assert_eq!(Backoff::Fixed(pause).pause_after(failures), pause);
        }
    }

    #[test]
    fn a_function_hears_which_attempt_failed() {
        let linear = Backoff::Function(|failures| Duration::from_secs(failures.into()));
        assert_eq!(linear.pause_after(1), Duration::from_secs(1));
        assert_eq!(linear.pause_after(7), Duration::from_secs(7));
    }

    #[test]
    fn no_pause_is_longer_than_a_year() {
        for endless in [
            Backoff::Fixed(Duration::MAX),
            Backoff::Function(|_| Duration::MAX),
        ] {
            assert_eq!(endless.pause_after(1), MAX_PAUSE);
        }
    }

    #[test]
    fn a_function_that_panics_still_leaves_a_pause() {
        let wrong = Backoff::Function(|failures| Duration::from_secs(1 / u64::from(failures - 2)));
        let pause = wrong.pause_after(2);
        assert!(pause >= Duration::from_secs(1) && pause <= Duration::from_secs(2));
    }
}
