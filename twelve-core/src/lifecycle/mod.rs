//! The one lifecycle of every process type.
//!
//! ```text
//! STARTING ──► READY ──► ANNOUNCE ──► DRAIN ──► CLOSE ──► exit
//!                 first signal │        │ overdue   │ budget spent: the watchdog exits with 2
//!                              ▼        ▼           ▼
//!             /ready is 503 at once   stop taking   release the rest
//! ```
//!
//! One total [`Budget`] covers everything from the first signal to the exit, because hosts kill after one total time.
//! A plain thread ([`signals`]) receives the signals and drives these states.
//! It exists before the runtime, so a blocked runtime can neither miss a signal nor outlive the budget.

mod budget;
mod shutdown;
pub(crate) mod signals;
mod tracker;

pub use budget::Budget;
pub use shutdown::Shutdown;
pub use tracker::{Tracked, Tracker};

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often the runtime proves that it turns.
const BEAT: Duration = Duration::from_millis(500);

/// How long the runtime may miss its beats before the process counts as dead.
const BEAT_MISSED: Duration = Duration::from_secs(5);

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// Checking its wiring and binding its port.
    Starting,
    /// Taking work.
    Ready,
    /// Still taking work, while load balancers notice that it is about to stop.
    Announce,
    /// Finishing running work, taking no new work.
    Drain,
    /// Closing its connections.
    Close,
}

impl State {
    /// The state's name, as listings and probes show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Announce => "announce",
            Self::Drain => "drain",
            Self::Close => "close",
        }
    }
}

/// The lifecycle of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: AtomicU8,
    budget: Mutex<Budget>,
    started: Instant,
    /// Milliseconds from `started` to the runtime's last beat.
    beat_ms: AtomicU64,
    announce: CancellationToken,
    drain: CancellationToken,
    overdue: CancellationToken,
    tracker: Tracker,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(Inner {
            state: AtomicU8::new(State::Starting as u8),
            budget: Mutex::default(),
            started: Instant::now(),
            beat_ms: AtomicU64::new(0),
            announce: CancellationToken::new(),
            drain: CancellationToken::new(),
            overdue: CancellationToken::new(),
            tracker: Tracker::default(),
        }))
    }
}

impl Lifecycle {
    /// Where the process stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            2 => State::Announce,
            3 => State::Drain,
            _ => State::Close,
        }
    }

    /// Says that the process takes work; a process that is already stopping stays so.
    pub fn ready(&self) {
        self.advance(State::Ready);
    }

    /// Begins the shutdown: readiness is gone, work is still taken.
    pub fn begin_announce(&self) {
        self.advance(State::Announce);
        self.0.announce.cancel();
    }

    /// Takes no new work from here on.
    pub fn begin_drain(&self) {
        self.begin_announce();
        self.advance(State::Drain);
        self.0.drain.cancel();
    }

    /// The time to drain is over: running work is released or cut off.
    pub fn end_drain(&self) {
        self.begin_drain();
        self.0.overdue.cancel();
    }

    /// All work has ended, or was cut off.
    pub fn begin_close(&self) {
        self.advance(State::Close);
    }

    /// Resolves when the shutdown begins.
    pub async fn announced(&self) {
        self.0.announce.cancelled().await;
    }

    /// Resolves when no new work may be taken.
    pub async fn draining(&self) {
        self.0.drain.cancelled().await;
    }

    /// Resolves when the time to drain is over.
    pub async fn overdue(&self) {
        self.0.overdue.cancelled().await;
    }

    /// The work that runs.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        &self.0.tracker
    }

    /// The time that a shutdown may take.
    #[must_use]
    pub fn budget(&self) -> Budget {
        *self.0.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time that a shutdown may take.
    pub fn set_budget(&self, budget: Budget) {
        *self.0.budget.lock().unwrap_or_else(PoisonError::into_inner) = budget;
    }

    /// Does the runtime turn? Liveness means nothing else.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let beat = Duration::from_millis(self.0.beat_ms.load(Ordering::Relaxed));
        self.0.started.elapsed().saturating_sub(beat) < BEAT_MISSED
    }

    /// Beats as long as the runtime turns.
    pub async fn beat(self) {
        loop {
            let beat = self.0.started.elapsed().as_millis();
            let beat = u64::try_from(beat).unwrap_or(u64::MAX);
            self.0.beat_ms.store(beat, Ordering::Relaxed);
            tokio::time::sleep(BEAT).await;
        }
    }

    /// States only ever go forward.
    fn advance(&self, to: State) {
        self.0.state.fetch_max(to as u8, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_stopping_does_not_become_ready_again() {
        let lifecycle = Lifecycle::default();
        lifecycle.begin_announce();
        lifecycle.ready();
        assert_eq!(lifecycle.state(), State::Announce);
    }

    #[test]
    fn every_phase_implies_those_before_it() {
        let lifecycle = Lifecycle::default();
        lifecycle.end_drain();
        assert_eq!(lifecycle.state(), State::Drain);
        assert!(lifecycle.0.announce.is_cancelled());
        assert!(lifecycle.0.drain.is_cancelled());
    }
}
