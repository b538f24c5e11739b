//! How long a body may take to arrive, while the client is the one to move.

use std::{pin::Pin, task::Context, time::Duration};
use tokio::time::{Instant, sleep};
use twelve_core::{Lifecycle, State};

use super::PROGRESS;

/// How many bytes a second a body must bring on the whole, once [`PROGRESS`] has passed.
///
/// Apache's `mod_reqtimeout` asks for as many by default (`body=20,MinRate=500`).
const RATE: u32 = 500;

/// When the process drains, how long a body may stand still, and how many bytes a second it must bring then.
///
/// At a lower rate a body of the usual limit would not arrive before the process has to end.
const DRAIN_PROGRESS: Duration = Duration::from_secs(3);
const DRAIN_RATE: u32 = 8_000;

/// What a client has left of its time.
pub(super) struct Patience {
    lifecycle: Lifecycle,
    usual: Clock,
    /// Counts from the first bytes that come during the drain.
    draining: Option<Clock>,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The time that was waited, and the bytes that came.
#[derive(Clone, Copy, Default)]
struct Clock {
    waited: Duration,
    bytes: u32,
}

impl Patience {
    pub(super) fn new(lifecycle: Lifecycle) -> Self {
        Self {
            lifecycle,
            usual: Clock::default(),
            draining: None,
            waiting: None,
        }
    }

    /// Nothing has come: has the client run out of time? Wakes the task when it does.
    pub(super) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let waiting = self.waiting.get_or_insert_with(|| {
            let usual = self.usual.left(PROGRESS, RATE).min(PROGRESS);
            let draining = self.draining.unwrap_or_default();
            let draining = draining
                .left(DRAIN_PROGRESS, DRAIN_RATE)
                .min(DRAIN_PROGRESS);
            let lifecycle = self.lifecycle.clone();
            let end = Box::pin(async move {
                let drained = async {
                    lifecycle.draining().await;
                    sleep(draining).await;
                };
                tokio::select! {
                    () = sleep(usual) => {}
                    () = drained => {}
                }
            });
            let since = Instant::now();
            Waiting { since, end }
        });
        let is_over = waiting.end.as_mut().poll(context).is_ready();
        if is_over {
            // Whoever asks again, though the body has failed, waits anew.
            self.waiting = None;
        }
        is_over
    }

    /// So many bytes have come.
    pub(super) fn moved(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let waited = self.stop();
        self.usual.count(waited, bytes);
        if self.is_draining() {
            match &mut self.draining {
                Some(clock) => clock.count(waited, bytes),
                // It may have been waited for since long before.
                None => self.draining = Some(Clock::default()),
            }
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.lifecycle.state() >= State::Drain
    }

    /// It is not the client who has to move.
    pub(super) fn pause(&mut self) {
        let waited = self.stop();
        self.usual.count(waited, 0);
    }

    fn stop(&mut self) -> Duration {
        self.waiting
            .take()
            .map_or(Duration::ZERO, |waiting| waiting.since.elapsed())
    }
}

impl Clock {
    fn count(&mut self, waited: Duration, bytes: u32) {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The time that is left of `first`, and one second more for each `rate` bytes.
    fn left(&self, first: Duration, rate: u32) -> Duration {
        let earned = Duration::from_secs(1) * self.bytes / rate;
        (first + earned).saturating_sub(self.waited)
    }
}
