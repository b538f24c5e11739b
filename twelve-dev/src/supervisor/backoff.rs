//! How long to wait before a process that ended is started again.

use std::time::Duration;

/// The first pause after a process that had worked: it is back within a second.
const FIRST: Duration = Duration::from_millis(250);

/// The first pause after a process that never was ready: it probably will not be next time either, and says why each time.
const FIRST_AT_BOOT: Duration = Duration::from_secs(2);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// How long a process must have worked for its earlier ends to be forgotten.
const FORGIVEN: Duration = Duration::from_secs(20);

/// The ends in a row of one process.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// The pause after one more end; `worked` tells for how long the process was ready, if it was.
    ///
    /// It doubles with every end in a row, and is drawn from the upper half of its range, so that processes that died together do not come back at once.
    pub(super) fn pause_after(&mut self, worked: Option<Duration>) -> Duration {
        if worked.is_some_and(|worked| worked >= FORGIVEN) {
            self.ends = 0;
        }
        let first = if worked.is_some() {
            FIRST
        } else {
            FIRST_AT_BOOT
        };
        let longest = first
            .saturating_mul(2_u32.saturating_pow(self.ends))
            .min(LONGEST);
        self.ends = self.ends.saturating_add(1);
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_back_within_a_second_then_later_and_later() {
        let mut backoff = Backoff::default();
        let worked = Some(Duration::from_secs(1));
        assert!(backoff.pause_after(worked) <= FIRST);
        assert!(backoff.pause_after(worked) <= FIRST * 2);
        for _ in 0..40 {
            assert!(backoff.pause_after(worked) <= LONGEST);
        }
        assert!(backoff.pause_after(worked) >= LONGEST / 2);
        assert!(backoff.pause_after(Some(FORGIVEN)) <= FIRST);
    }

    #[test]
    fn a_process_that_never_was_ready_waits_longer() {
        assert!(Backoff::default().pause_after(None) >= FIRST_AT_BOOT / 2);
    }
}
