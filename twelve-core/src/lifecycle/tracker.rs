//! The work that runs: its name, and since when.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Counts running work, so that a drain can wait for it and the watchdog can name it.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    tasks: TaskTracker,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    entries: HashMap<u64, (Cow<'static, str>, Instant)>,
}

/// Work is running as long as this lives.
#[derive(Debug)]
pub struct Tracked {
    id: u64,
    running: Arc<Mutex<Running>>,
    _token: TaskTrackerToken,
}

impl Tracker {
    /// Registers running work under a name, such as `POST /orders` or `job charge_order`.
    #[must_use = "the work counts as running only as long as this lives"]
    pub fn begin(&self, name: impl Into<Cow<'static, str>>) -> Tracked {
        let mut running = lock(&self.running);
        let id = running.next;
        running.next += 1;
        running.entries.insert(id, (name.into(), Instant::now()));
        Tracked {
            id,
            running: Arc::clone(&self.running),
            _token: self.tasks.token(),
        }
    }

    /// Waits until nothing runs any more. New work may still begin meanwhile, and is waited for too.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The work that runs and for how long, the oldest first.
    #[must_use]
    pub fn running(&self) -> Vec<(String, Duration)> {
        let mut running: Vec<_> = lock(&self.running)
            .entries
            .values()
            .map(|(name, since)| (name.to_string(), since.elapsed()))
            .collect();
        running.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
        running
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        lock(&self.running).entries.remove(&self.id);
    }
}

/// A panic while the lock was held cannot leave the map half changed.
fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_what_runs() {
        let tracker = Tracker::default();
        let work = tracker.begin("GET /slow");
        assert_eq!(tracker.running()[0].0, "GET /slow");
        let waiting = tokio::spawn({
            let tracker = tracker.clone();
            async move { tracker.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(work);
        waiting.await.unwrap();
        assert!(tracker.running().is_empty());
    }
}
