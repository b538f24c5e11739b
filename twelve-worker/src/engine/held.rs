//! What this process holds: the leases of the jobs that it runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::AbortHandle, time::timeout};

use crate::store::Lease;

/// How long the ends of handlers that have returned may take to record, when the time to drain is over.
const LAST_ACKS: Duration = Duration::from_secs(1);

type Leases = HashMap<Lease, Phase>;

/// How far an attempt has come.
#[derive(Debug)]
enum Phase {
    /// Its task is about to start.
    Starting,
    /// Its handler runs; this stops it.
    Running(AbortHandle),
    /// Its end is being recorded.
    Ending,
}

/// The leases of the jobs that run; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    leases: Arc<Mutex<Leases>>,
    /// Told whenever a lease is not held any more.
    let_go: Arc<Notify>,
}

/// A lease is held as long as this lives.
#[derive(Debug)]
pub(super) struct Holding {
    lease: Lease,
    held: Held,
}

impl Held {
    /// Holds a lease; before the job's task starts, for a task may end before its handle is known.
    pub(super) fn hold(&self, lease: Lease) -> Holding {
        self.lock().insert(lease, Phase::Starting);
        Holding {
            lease,
            held: self.clone(),
        }
    }

    /// Remembers how to stop the handler.
    pub(super) fn stop_with(&self, lease: Lease, handle: AbortHandle) {
        // A quick handler may have returned before its task's handle was known.
        if let Some(phase @ Phase::Starting) = self.lock().get_mut(&lease) {
            *phase = Phase::Running(handle);
        }
    }

    /// The handler has returned: from here on the job is not stopped, for its end is being recorded.
    pub(super) fn has_ended(&self, lease: Lease) {
        if let Some(phase) = self.lock().get_mut(&lease) {
            *phase = Phase::Ending;
        }
    }

    pub(super) fn contains(&self, lease: &Lease) -> bool {
        self.lock().contains_key(lease)
    }

    /// Stops every handler that still runs, gives the others a moment to record their ends, and tells what is left.
    pub(super) async fn stop_all(&self) -> Vec<Lease> {
        let mut left = self.stop_running();
        let ending = || -> Vec<Lease> {
            let held = self.lock();
            let ending = held.keys().filter(|lease| !left.contains(lease));
            ending.copied().collect()
        };
        let all_ended = async {
            while !ending().is_empty() {
                self.let_go.notified().await;
            }
        };
        // Those that take longer are handed back too: whichever comes first wins.
        let _ = timeout(LAST_ACKS, all_ended).await;
        let ending = ending();
        left.extend(ending);
        left
    }

    fn stop_running(&self) -> Vec<Lease> {
        let held = self.lock();
        let stopped = held.iter().filter_map(|(lease, phase)| match phase {
            Phase::Running(handle) => {
                handle.abort();
                Some(*lease)
            }
            Phase::Starting | Phase::Ending => None,
        });
        stopped.collect()
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().remove(&self.lease);
        // Kept for `stop_all`, if that does not wait just now.
        self.held.let_go.notify_one();
    }
}
