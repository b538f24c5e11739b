//! How long a shutdown may take.

use std::{
    io::{IsTerminal, stdin},
    time::Duration,
};

use crate::config::{Config, Reader};

/// Time to close pools and hand work back, at the end of every budget.
const CLOSE: Duration = Duration::from_secs(2);

/// The shortest budget.
const SHORTEST: Duration = Duration::from_millis(100);

/// The time from the first signal to the exit, split into announce, drain and close.
///
/// The total is 25 s by default: Kubernetes, Heroku and ECS kill 30 s after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Everything, from the first signal to the exit.
    pub total: Duration,
    /// How long a process with a port goes on taking work while load balancers notice.
    pub announce: Duration,
}

impl Budget {
    /// For a process type without a port there is nobody to announce to.
    #[must_use]
    pub fn without_announce(mut self) -> Self {
        self.announce = Duration::ZERO;
        self
    }

    /// For a process that outlives others, such as a supervisor.
    #[must_use]
    pub fn longer_by(mut self, margin: Duration) -> Self {
        self.total += margin;
        self
    }

    /// From the first signal to the moment when unfinished work is handed back.
    #[must_use]
    pub fn until_overdue(&self) -> Duration {
        // A short budget still needs some time to close: a fifth of it.
        self.total.saturating_sub(CLOSE.min(self.total / 5))
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(25),
            announce: Duration::ZERO,
        }
    }
}

impl Config for Budget {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let total: Option<Duration> = reader.read(
            "TWELVE_SHUTDOWN_TIMEOUT",
            Some("25s"),
            "from the first signal to the exit; keep it below what the host allows",
        );
        let announce: Option<Option<Duration>> = reader.read(
            "TWELVE_ANNOUNCE",
            None,
            "how long a process with a port serves on while load balancers notice that it stops; 5s, at a terminal 0s",
        );
        let (total, announce) = (total?, announce?);
        if total < SHORTEST {
            reader.reject("TWELVE_SHUTDOWN_TIMEOUT", "too short: nothing could finish");
            return None;
        }
        let budget = Self {
            total,
            announce: announce.unwrap_or_else(|| default_announce(total)),
        };
        if budget.announce >= budget.until_overdue() {
            reader.reject(
                "TWELVE_ANNOUNCE",
                "leaves no time to drain within TWELVE_SHUTDOWN_TIMEOUT",
            );
            return None;
        }
        Some(budget)
    }
}

/// A fifth of the budget: 5 s of 25.
fn default_announce(total: Duration) -> Duration {
    // At a terminal nobody balances load, and Ctrl-C should not take five seconds.
    if stdin().is_terminal() {
        Duration::ZERO
    } else {
        total / 5
    }
}
